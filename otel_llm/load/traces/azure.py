"""Azure's traces of LLM inference of 2023 and 2024 (Azure/AzurePublicDataset), and those written like them: CSV."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from otel_llm.load.traces.format import Part, TraceFormat
from otel_llm.load.traces.rows import Row, read_table_rows
from otel_llm.load.traces.trace import Trace

__all__ = ["AZURE"]

_COLUMNS: Final = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def _row(cells: dict[str, str]) -> Row:
    at = datetime.fromisoformat(cells["TIMESTAMP"].strip())  # of seven digits the last is dropped
    since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH
    return Row(since // _MICROSECOND * 1000, int(cells["ContextTokens"]), int(cells["GeneratedTokens"]))


def _read(path: Path, _: Part) -> Trace:
    return read_table_rows(path, _COLUMNS, frozenset(), _row)


AZURE: Final = TraceFormat(
    "TIMESTAMP, ContextTokens, GeneratedTokens", lambda head: head.columns == set(_COLUMNS), _read
)
