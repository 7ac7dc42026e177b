"""Alibaba's traces of Qwen on Bailian (alibaba-edu/qwen-bailian-usagetraces-anon): JSON lines, blocks of 16 tokens."""

from pathlib import Path
from typing import Final

import msgspec

from otel_llm.load.traces.format import TraceFormat
from otel_llm.load.traces.rows import Columns, Row, read_json_rows
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


class _Conversations:
    """Names a conversation by the chat that began it."""

    def __init__(self) -> None:
        self._roots: dict[int, int] = {}

    def row(self, row: _Row) -> Row:
        root = self._roots[row.chat_id] = self._roots.get(row.parent_chat_id, row.chat_id)
        return Row(round(row.timestamp * 1e9), row.input_length, row.output_length, row.hash_ids, root)


def _read(path: Path) -> Trace:
    return read_json_rows(path, _Row, _Conversations().row, Columns(path, BLOCK_TOKENS))


BAILIAN: Final = TraceFormat(
    "chat and parent, timestamp in seconds, lengths, hash ids of blocks of 16 tokens",
    lambda head: {"chat_id", "parent_chat_id", "hash_ids"} <= head.columns,
    _read,
)
