"""Batch tasks (alibaba/ServeGen, `data/offline`): a JSON object a line, in the order of the task's file, without times.

One kind of file has hash ids of blocks of 16 tokens and no lengths of answers, the other has lengths and no blocks.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from otel_llm.load.traces.format import Part, TraceFormat
from otel_llm.load.traces.rows import Columns, Rows, read_json_rows
from otel_llm.load.traces.trace import Trace

__all__ = ["BATCH"]

BLOCK_TOKENS: Final = 16


class _Answered(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """duration: ms that the request took where it was recorded"""

    request_id: int
    type: str
    input_length: int
    output_length: int
    duration: float


class _Asked(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    request_id: int
    type: str
    input_length: int
    hash_ids: list[int]
    img_ids: list[str]


def _answered(rows: Sequence[_Answered]) -> Rows:
    return Rows([0] * len(rows), [row.input_length for row in rows], [row.output_length for row in rows])


def _asked(rows: Sequence[_Asked]) -> Rows:
    some = [1] * len(rows)  # not known, and a row without an answer would be left out
    return Rows([0] * len(rows), [row.input_length for row in rows], some, [row.hash_ids for row in rows])


def _read(path: Path, _: Part) -> Trace:
    with path.open("rb") as file:
        answered = b'"output_length"' in file.readline()
    if answered:
        return replace(read_json_rows(path, _Answered, _answered, Columns(path)), timed=False)
    trace = read_json_rows(path, _Asked, _asked, Columns(path, BLOCK_TOKENS))
    return replace(trace, output_tokens=np.zeros(len(trace), np.int32), timed=False)


BATCH: Final = TraceFormat(
    "a batch task without times: lengths; or lengths of prompts, hash ids of blocks of 16 tokens",
    lambda head: {"request_id", "type", "input_length"} <= head.columns,
    _read,
)
