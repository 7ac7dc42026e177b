"""An option of a run, declared where its value lives: at the field of the plan that it sets."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final, TypeVar

from otel_llm.errors import ConfigError

__all__ = [
    "ABOVE_0",
    "ONE_OR_MORE",
    "ZERO_OR_MORE",
    "Check",
    "Group",
    "Option",
    "check_fields",
    "option",
    "options_of",
    "values_of",
]

T = TypeVar("T")


class Group(StrEnum):
    """The titles under which `--help` lists the options, in its order."""

    ASK = "what to ask"
    AMOUNT = "how much, and when"
    STOP = "when to stop"
    RESULTS = "where the results go"
    GOOD_ENOUGH = "what is good enough"
    REACH = "how to reach it"


@dataclass(frozen=True, slots=True)
class Check:
    """What a value must be: in words that follow the option's name, and as a test."""

    words: str
    holds: Callable[[Any], bool]


ONE_OR_MORE: Final = Check("to be 1 or more", lambda value: value >= 1)
ZERO_OR_MORE: Final = Check("to be 0 or more", lambda value: value >= 0)
ABOVE_0: Final = Check("to be above 0 seconds", lambda value: value > 0)


@dataclass(frozen=True, slots=True)
class Option:
    """An option of the command line.

    keywords: as `ArgumentParser.add_argument` takes them
    before:   the option that this one is listed before; None: at the end of its group
    check:    None when every value will do
    to_field: makes the field's value of the option's; None when they are the same
    """

    flags: tuple[str, ...]
    keywords: Mapping[str, Any]
    group: Group
    before: str | None
    check: Check | None
    to_field: Callable[[Any], Any] | None

    @property
    def destination(self) -> str:
        """The attribute of the parsed arguments: that of the first long flag, as argparse has it."""
        return next(flag for flag in self.flags if flag.startswith("--"))[2:].replace("-", "_")


def option(
    default: T,
    /,
    *flags: str,
    group: Group,
    before: str | None = None,
    check: Check | None = None,
    to_field: Callable[[Any], Any] | None = None,
    **keywords: Any,
) -> T:
    """Return a dataclass field that an option sets; `keywords` go to `ArgumentParser.add_argument`.

    The option has the field's default. Give it `default=None` where it matters whether the option was given at all: one
    that was not leaves the field's default alone.
    """
    if "action" not in keywords:
        keywords.setdefault("default", default)
    made = Option(flags, keywords, group, before, check, to_field)
    return field(default=default, metadata={Option: made})


def options_of(plan: Any) -> dict[str, Option]:
    """Return the options that the fields of a dataclass declare, by the name of the field and in their order."""
    return {each.name: each.metadata[Option] for each in fields(plan) if Option in each.metadata}


def values_of(plan: Any, args: Namespace) -> dict[str, Any]:
    """Return what parsed arguments set, by field of the dataclass; fields whose option is None are left out."""
    given = ((name, option, getattr(args, option.destination)) for name, option in options_of(plan).items())
    return {
        name: value if option.to_field is None else option.to_field(value)
        for name, option, value in given
        if value is not None
    }


def check_fields(plan: Any) -> None:
    """Raise ConfigError for the first field whose value is not what its option says it must be."""
    for name, option in options_of(plan).items():
        value = getattr(plan, name)
        if option.check is not None and value is not None and not option.check.holds(value):
            raise ConfigError(f"{option.flags[0]} {option.check.words}", value)
