"""Mooncake's traces (kvcache-ai/Mooncake, FAST25-release): a JSON object a line, blocks of 512 tokens."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from otel_llm.load.traces.format import Part, TraceFormat
from otel_llm.load.traces.rows import Columns, Rows, read_json_rows
from otel_llm.load.traces.trace import Trace

__all__ = ["MOONCAKE"]

BLOCK_TOKENS: Final = 512


class _Row(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """timestamp: ms from the trace's start"""

    timestamp: float
    input_length: int
    output_length: int
    hash_ids: list[int]


def _rows(rows: Sequence[_Row]) -> Rows:
    return Rows(
        [round(row.timestamp * 1e6) for row in rows],
        [row.input_length for row in rows],
        [row.output_length for row in rows],
        [row.hash_ids for row in rows],
    )


def _read(path: Path, _: Part) -> Trace:
    return read_json_rows(path, _Row, _rows, Columns(path, BLOCK_TOKENS))


MOONCAKE: Final = TraceFormat(
    "timestamp in ms, lengths, hash ids of blocks of 512 tokens",
    lambda head: head.columns == {"timestamp", "input_length", "output_length", "hash_ids"},
    _read,
)
