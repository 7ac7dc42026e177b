"""What a format of traces is: a name, how a file of it is recognised, and what reads it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from otel_llm.load.traces.trace import Trace

__all__ = ["Head", "TraceFormat"]


class Head(NamedTuple):
    """The beginning of a file. columns: of its first row or header, none where it has neither"""

    first: bytes
    columns: frozenset[str]


class TraceFormat(NamedTuple):
    """`read` raises ConfigError that names the file and the row; `about` is for documents and messages."""

    about: str
    recognises: Callable[[Head], bool]
    read: Callable[[Path], Trace]
