"""What a reader of another tool's results says of the tool and of one result."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Figures", "Meaning", "Statistics", "Tool", "milliseconds_of"]

Statistics = Mapping[str, float | None]
"""`mean`, `p50`, `p90` and so on, as far as the tool gives them; seconds."""


class Meaning(NamedTuple):
    """A figure of another tool.

    theirs: what it is called there
    ours:   the measure that it is compared with, as reports have it; None where there is none
    about:  what it is in our words, and what differs
    """

    theirs: str
    ours: str | None
    about: str


class Figures(NamedTuple):
    """What a result says. measures: by our names; rates are per second; arguments: as options of `otel-llm perf`"""

    model: str | None
    started_at: str | None
    succeeded: int
    failed: int | None
    duration: float | None
    measures: Mapping[str, Statistics]
    request_throughput: float | None
    output_token_throughput: float | None
    arguments: Mapping[str, Any]


class Tool(NamedTuple):
    """A load generator whose results can be read.

    read_of:    the version whose results were read, and where from
    recognises: whether a decoded file is a result of it
    read:       the figures; of the file, and what was decoded
    lateness:   what it says of its own lateness
    """

    name: str
    read_of: str
    recognises: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Path, Mapping[str, Any]], Figures]
    lateness: str
    meanings: Sequence[Meaning]


def milliseconds_of(found: Mapping[str, Any], names: Mapping[str, str]) -> Statistics:
    """Return statistics in seconds from some in milliseconds. names: theirs by ours"""
    return {ours: None if (value := found.get(theirs)) is None else value / 1e3 for ours, theirs in names.items()}
