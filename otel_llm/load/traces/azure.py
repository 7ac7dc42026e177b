"""Azure's traces of LLM inference of 2023 and 2024 (Azure/AzurePublicDataset), and those written like them: CSV."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from otel_llm.load.traces.format import Part, TraceFormat
from otel_llm.load.traces.rows import Rows, read_table_rows
from otel_llm.load.traces.trace import Trace

__all__ = ["AZURE"]

_COLUMNS: Final = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def _at_ns(timestamp: str) -> int:
    at = datetime.fromisoformat(timestamp.strip())  # of seven digits the last is dropped
    since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH
    return since // _MICROSECOND * 1000


def _rows(timestamps: Sequence[str], inputs: Sequence[str], outputs: Sequence[str]) -> Rows:
    return Rows(list(map(_at_ns, timestamps)), list(map(int, inputs)), list(map(int, outputs)))


def _read(path: Path, _: Part) -> Trace:
    return read_table_rows(path, _COLUMNS, frozenset(), _rows)


AZURE: Final = TraceFormat(
    "TIMESTAMP, ContextTokens, GeneratedTokens", lambda head: head.columns == set(_COLUMNS), _read
)
