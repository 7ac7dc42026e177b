"""BurstGPT (HPMLL/BurstGPT): CSV, seconds from the midnight of its first day. Failed requests answered 0 tokens."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final
from zlib import crc32

from otel_llm.load.traces.format import Part, TraceFormat
from otel_llm.load.traces.rows import Rows, read_table_rows
from otel_llm.load.traces.trace import Trace

__all__ = ["BURSTGPT"]

_COLUMNS: Final = (
    *("Timestamp", "Session ID", "Elapsed time", "Model"),
    *("Request tokens", "Response tokens", "Total tokens", "Log Type"),
)
_NOT_IN_ALL: Final = frozenset(("Session ID", "Elapsed time", "Total tokens", "Log Type", "Model"))
_NEEDED: Final = frozenset(_COLUMNS) - _NOT_IN_ALL


def _rows(
    alone: Iterator[int],
    at: Sequence[str],
    names: Sequence[str] | None,
    _elapsed: object,
    _model: object,
    inputs: Sequence[str],
    outputs: Sequence[str],
    *_: object,
) -> Rows:
    # a row of the API, which has no session, is one of its own
    sessions = [] if names is None else [crc32(name.encode()) if name else -next(alone) for name in names]
    at_ns = [round(float(each) * 1e9) for each in at]
    return Rows(at_ns, list(map(int, inputs)), list(map(int, outputs)), sessions=sessions)


def _read(path: Path, _: Part) -> Trace:
    return read_table_rows(path, _COLUMNS, _NOT_IN_ALL, partial(_rows, count(1)))


BURSTGPT: Final = TraceFormat(
    "Timestamp in seconds, Request tokens, Response tokens, in some releases Session ID",
    lambda head: head.columns >= _NEEDED,
    _read,
)
