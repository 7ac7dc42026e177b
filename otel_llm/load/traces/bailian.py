"""Alibaba's traces of Qwen on Bailian (alibaba-edu/qwen-bailian-usagetraces-anon): JSON lines, blocks of 16 tokens."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from otel_llm.load.traces.format import Part, TraceFormat
from otel_llm.load.traces.links import RowLinks
from otel_llm.load.traces.rows import Columns, Rows, read_json_rows
from otel_llm.load.traces.trace import Trace

__all__ = ["BAILIAN"]

BLOCK_TOKENS: Final = 16


class _Row(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """timestamp: seconds from the trace's start; parent_chat_id: -1 where a conversation begins"""

    chat_id: int
    parent_chat_id: int
    timestamp: float
    input_length: int
    output_length: int
    type: str
    turn: int
    hash_ids: list[int]


def _rows(rows: Sequence[_Row]) -> Rows:
    after = [() if row.parent_chat_id < 0 else (row.parent_chat_id,) for row in rows]
    return Rows(
        [round(row.timestamp * 1e9) for row in rows],
        [row.input_length for row in rows],
        [row.output_length for row in rows],
        [row.hash_ids for row in rows],
        links=RowLinks([row.chat_id for row in rows], after),
    )


def _read(path: Path, _: Part) -> Trace:
    trace = read_json_rows(path, _Row, _rows, Columns(path, BLOCK_TOKENS))
    return trace if trace.links is None else replace(trace, sessions=trace.links.roots())


BAILIAN: Final = TraceFormat(
    "chat and parent, timestamp in seconds, lengths, hash ids of blocks of 16 tokens",
    lambda head: {"chat_id", "parent_chat_id", "hash_ids"} <= head.columns,
    _read,
)
