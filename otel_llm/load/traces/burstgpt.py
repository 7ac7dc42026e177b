"""BurstGPT (HPMLL/BurstGPT): CSV, seconds from the midnight of its first day. Failed requests answered 0 tokens."""

from pathlib import Path
from typing import Final
from zlib import crc32

from otel_llm.load.traces.format import Part, TraceFormat
from otel_llm.load.traces.rows import Row, read_table_rows
from otel_llm.load.traces.trace import Trace

__all__ = ["BURSTGPT"]

_COLUMNS: Final = (
    *("Timestamp", "Session ID", "Elapsed time", "Model"),
    *("Request tokens", "Response tokens", "Total tokens", "Log Type"),
)
_NOT_IN_ALL: Final = frozenset(("Session ID", "Elapsed time", "Total tokens", "Log Type", "Model"))
_NEEDED: Final = frozenset(_COLUMNS) - _NOT_IN_ALL


class _Sessions:
    """Numbers the sessions; a row of the API, which has none, is one of its own."""

    def __init__(self) -> None:
        self._rows = 0

    def row(self, cells: dict[str, str]) -> Row:
        self._rows += 1
        session: int | None = None
        if (name := cells.get("Session ID")) is not None:
            session = crc32(name.encode()) if name else -self._rows
        at_ns = round(float(cells["Timestamp"]) * 1e9)
        return Row(at_ns, int(cells["Request tokens"]), int(cells["Response tokens"]), session=session)


def _read(path: Path, _: Part) -> Trace:
    return read_table_rows(path, _COLUMNS, _NOT_IN_ALL, _Sessions().row)


BURSTGPT: Final = TraceFormat(
    "Timestamp in seconds, Request tokens, Response tokens, in some releases Session ID",
    lambda head: head.columns >= _NEEDED,
    _read,
)
