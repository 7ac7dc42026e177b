"""The command that a run was, from the options that its run file keeps."""

import argparse
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from otel_llm.load.plan.arguments import add_arguments
from otel_llm.load.plan.option_values import parse_key_values

__all__ = ["command_line"]


def command_line(arguments: Mapping[str, Any]) -> str | None:
    """Return the command line of a run, to paste into a shell; None of a run that was not made by a command.

    arguments: as the report has them, without secrets. Options that have their default are left out.
    """
    if not arguments.get("url"):
        return None
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    words = ["otel-llm", "perf"]
    for action in parser._actions:  # the only place that knows flags and defaults of all options
        value = arguments.get(action.dest)
        if value not in (None, {}, action.default) and [value] != action.default:
            words += _words(action, value)
    return shlex.join(words)


def _words(action: argparse.Action, value: Any) -> Iterator[str]:
    yield next(flag for flag in (*action.option_strings, "") if flag.startswith("--") or not flag)
    if action.nargs == 0:
        return
    if isinstance(value, Mapping):
        typed = action.dest != "headers"
        yield from (f"{key}={_text(key, each) if typed else each}" for key, each in value.items())
    elif isinstance(value, list):
        yield from map(str, value)
    elif action.nargs == "+":  # stages, as the report has them in one text
        yield from str(value).split(" ")
    else:
        yield str(value)


def _text(key: str, value: Any) -> str:
    """Return a value as `KEY=VALUE` has it: JSON where the plain text would be read as another value."""
    plain = str(value)
    if isinstance(value, str) and parse_key_values("", [f"{key}={plain}"]) == {key: value}:
        return plain
    return msgspec.json.encode(value).decode()
