"""Options of the command line that are declared at the dataclass field that they set.

The field's name, type and default, and the option's flags, help and check, then stand in one place.
"""

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from math import inf
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
    MACHINES = "on which machines"
    STOP = "when to stop"
    RESULTS = "where the results go"
    GOOD_ENOUGH = "what is good enough"
    REACH = "how to reach it"


@dataclass(frozen=True, slots=True)
class Check:
    """What a value must be: `words` complete "expected --option ...", `holds` tests a value."""

    words: str
    holds: Callable[[Any], bool]


ONE_OR_MORE: Final = Check("to be 1 or more", lambda value: value >= 1)
ZERO_OR_MORE: Final = Check("to be 0 or more", lambda value: value >= 0)
ABOVE_0: Final = Check("to be above 0 seconds", lambda value: 0 < value < inf)


@dataclass(frozen=True, slots=True)
class Option:
    """An option of the command line.

    flags, keywords: the arguments of `ArgumentParser.add_argument`
    before:          the option before which --help lists this one; None: at the end of its group
    check:           what the field's value must be; None: anything
    to_field:        turns the option's value into the field's; None: they are the same
    """

    flags: tuple[str, ...]
    keywords: Mapping[str, Any]
    group: Group
    before: str | None
    check: Check | None
    to_field: Callable[[Any], Any] | None

    @property
    def destination(self) -> str:
        """The attribute of the parsed arguments. argparse makes it of the first long flag."""
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

    The option's default is the field's. Pass `default=None` as well where it matters whether the option was given: then
    the field keeps its default when it was not.
    """
    if "action" not in keywords:
        keywords.setdefault("default", default)
    made = Option(flags, keywords, group, before, check, to_field)
    return field(default=default, metadata={Option: made})


def options_of(plan: Any) -> dict[str, Option]:
    """Return the options that the fields of a dataclass declare, by field name, in the order of the fields."""
    return {each.name: each.metadata[Option] for each in fields(plan) if Option in each.metadata}


def values_of(plan: Any, args: Namespace) -> dict[str, Any]:
    """Return the values that parsed arguments give to fields of a dataclass. An option that is None gives none."""
    given = ((name, option, getattr(args, option.destination)) for name, option in options_of(plan).items())
    return {
        name: value if option.to_field is None else option.to_field(value)
        for name, option, value in given
        if value is not None
    }


def check_fields(plan: Any) -> None:
    """Raise ConfigError for the first field whose value fails the check of its option."""
    for name, option in options_of(plan).items():
        value = getattr(plan, name)
        if option.check is not None and value is not None and not option.check.holds(value):
            raise ConfigError(f"{option.flags[0]} {option.check.words}", value)
