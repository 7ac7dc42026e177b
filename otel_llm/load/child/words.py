"""Keyword arguments of Python as the words of a command of `otel-llm`."""

import argparse
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from keyword import iskeyword
from typing import Any

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.load.plan.arguments import add_arguments
from otel_llm.load.plan.other_tools import OTHER_NAMES

__all__ = ["words_of"]

_JSON = frozenset(("parameters",))
"""Options whose values are read as JSON: a text that looks like a number stays a text."""


AddArguments = Callable[[argparse.ArgumentParser], None]


def words_of(options: Mapping[str, Any], command: str = "perf", add: AddArguments = add_arguments) -> list[str]:
    """Return the command line of options by their long names with `_` for `-`: `{"max_errors": 5}`.

    command: whose options they are; add: adds them to a parser
    True gives an option that takes no value, None and False give none; lists and mappings give each of their items.
    Raises ConfigError for an option that there is not, and for a value of the wrong kind.
    """
    parser = argparse.ArgumentParser(add_help=False)
    add(parser)
    actions = {name: action for action in parser._actions for name in _names(action)}
    words: list[str] = []
    for name, value in options.items():
        if (action := actions.get(name)) is None:
            raise ConfigError(f"an option of otel-llm {command}", name, _meant(name, command, actions))
        words += _words(name, action, value)
    return words


def _names(action: argparse.Action) -> Iterable[str]:
    """Return what an option is called in Python: `--from` is `from_`, and is `trace_from` among parsed arguments."""
    long = action.option_strings[-1].removeprefix("--").replace("-", "_")
    return (f"{long}_" if iskeyword(long) else long, action.dest)


def _words(name: str, action: argparse.Action, value: Any) -> list[str]:
    flag = action.option_strings[-1]
    if value is None or value is False:
        return []
    if action.nargs == 0:
        if value is not True:
            raise ConfigError(f"True or False for {name}", value)
        return [flag]
    if value is True:
        raise ConfigError(f"a value for {name}", value)
    items = list(_items(name, value))
    if len(items) != 1 and action.nargs is None:
        raise ConfigError(f"one value for {name}", value)
    if len(items) > 1 and not isinstance(action, argparse._ExtendAction):
        return [flag, *items]
    return [f"{flag}={item}" for item in items]  # in one word: what begins with a dash is no option


def _items(name: str, value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        return (f"{key}={_json(each) if name in _JSON else each}" for key, each in value.items())
    if isinstance(value, str) or not isinstance(value, Iterable):
        return (str(value),)
    return map(str, value)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _meant(name: str, command: str, known: Iterable[str]) -> str:
    """Return what to say of an option that there is not."""
    ours = OTHER_NAMES.get(name.replace("_", "-").lower())
    if ours is not None:
        return f"did you mean {ours}?"
    near = get_close_matches(name, known, 1, 0.7)
    return f"did you mean {near[0]}?" if near else f"otel-llm {command} --help lists them, here with _ for -"
