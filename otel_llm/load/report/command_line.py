"""The command that a run or a study was, from the options that its run file keeps."""

import argparse
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from otel_llm.load.plan.arguments import add_arguments
from otel_llm.load.plan.option_values import parse_key_values
from otel_llm.load.study.loads import AUTO

__all__ = ["command_line", "study_command_line"]

_OF_A_POINT: Final = frozenset(("append", "compat", "log_every_n_query", "until_certain"))
"""Options that a study gives to each of its runs."""


def command_line(arguments: Mapping[str, Any]) -> str | None:
    """Return the command line of a run, to paste into a shell; None of a run that was not made by a command.

    arguments: as the report has them, without secrets. Options that have their default are left out.
    """
    if not arguments.get("url"):
        return None
    return shlex.join(["otel-llm", "perf", *_options(arguments)])


def study_command_line(plan: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """Return the command line of a study. What it did between two points is not kept.

    plan: as its file has it; arguments: of its first run, which has the lowest seed
    """
    own = {"loop", *_OF_A_POINT, plan.get("loop") or plan["points"][0][0]}
    shared = _options({name: value for name, value in arguments.items() if name not in own})
    if plan["kind"] == "find":
        words = _of_search(plan)
    else:
        words = iter((f"--{plan['loop']}", AUTO)) if plan.get("auto") else _of_sweep(plan["points"])
    return shlex.join(["otel-llm", plan["kind"], *words, *shared])


def _of_search(plan: Mapping[str, Any]) -> Iterator[str]:
    if plan["loop"] == "parallel":
        yield "--in-parallel"
    for name in ("start", "highest", "precision"):
        value = plan["first" if name == "start" else name]
        if value is not None:
            yield from (f"--{name}", f"{value:g}")


def _of_sweep(points: Sequence[tuple[str, float, int]]) -> Iterator[str]:
    loads, repeats = sorted({load for _, load, _ in points}), max(repeat for *_, repeat in points) + 1
    yield from (f"--{points[0][0]}", *(f"{load:g}" for load in loads))
    if repeats > 1:
        yield from ("--repeat", str(repeats))
    if [(load, repeat) for _, load, repeat in points] != [(load, each) for each in range(repeats) for load in loads]:
        yield "--shuffle"


def _options(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield the words of the options of `otel-llm perf` that are not at their default."""
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    for action in parser._actions:  # the only place that knows flags and defaults of all options
        value = arguments.get(action.dest)
        if value not in (None, {}, action.default) and [value] != action.default:
            yield from _words(action, value)


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
