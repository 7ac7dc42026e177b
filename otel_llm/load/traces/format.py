"""What a format of traces is: a name, how a file of it is recognised, and what reads it."""

from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import NamedTuple

from otel_llm.load.traces.trace import Trace

__all__ = ["Head", "Part", "TraceFormat"]


class Head(NamedTuple):
    """The beginning of a file, or a folder. columns: of its first row or header, none where it has neither"""

    path: Path
    first: bytes
    columns: frozenset[str]


class Part(NamedTuple):
    """What of a trace is used, s from its start. seed: of what is drawn, where a trace holds no requests but laws"""

    from_s: float = 0.0
    to_s: float = inf
    seed: int = 0


class TraceFormat(NamedTuple):
    """`read` raises ConfigError that names the file and the row; `about` is for documents and messages.

    It may read more than the part: the whole file, or whole windows of time.
    """

    about: str
    recognises: Callable[[Head], bool]
    read: Callable[[Path, Part], Trace]
