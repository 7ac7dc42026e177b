"""A record as text and as bytes: what was written is what is read."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.measures import ChunkTable
from otel_llm.record import Chunks, from_json, to_json
from otel_llm.testing import timeline

RECORD = timeline(
    "i.r_.a(bc)?*$|",
    usage=9,
    model="m",
    parameters={"gen_ai.request.temperature": 0.5},
    trace_id="0" * 31 + "1",
    status=200,
    finish_reasons=("stop",),
)


def test_json_and_back() -> None:
    assert from_json(to_json(RECORD)) == RECORD
    assert b"\n" not in to_json(RECORD)


def test_json_without_the_chunks() -> None:
    """Where they are kept apart, as in a run file."""
    assert from_json(to_json(RECORD, chunks=False)) == msgspec.structs.replace(RECORD, chunks=Chunks())


def test_a_record_of_another_schema_is_refused() -> None:
    newer = to_json(RECORD).replace(b'"schema":1', b'"schema":2')
    with pytest.raises(msgspec.ValidationError):
        from_json(newer)


@given(st.lists(st.tuples(st.integers(-(2**62), 2**62), st.integers(0, 2**32 - 1), st.integers(0, 4)), max_size=30))
def test_chunk_columns_and_back(rows: list[tuple[int, int, int]]) -> None:
    chunks = Chunks()
    for at, number, kind in rows:
        chunks.at_ns.append(at)
        for column in (chunks.read, chunks.size, chunks.tokens):
            column.append(number)
        chunks.kind.append(kind)
        chunks.lag_ns.append(at)
    blob = chunks.to_bytes()
    assert Chunks.from_bytes(blob) == chunks
    if rows:
        with pytest.raises(ValueError, match="bytes or more"):
            Chunks.from_bytes(blob[:-1])
        with pytest.raises(ValueError, match="whole columns"):
            ChunkTable.from_bytes([blob, blob[:-1]])
    for read, made in zip(
        ChunkTable.from_bytes([blob, Chunks().to_bytes(), blob]), ChunkTable.of([chunks, Chunks(), chunks]), strict=True
    ):
        np.testing.assert_array_equal(read, made)
    *rest, lags, owner = ChunkTable.from_bytes([blob, blob], lags=False)
    assert (len(lags), len(owner)) == (0, 2 * len(rows))
    assert all(len(column) == 2 * len(rows) for column in rest)


def test_a_packet_costs_at_most_forty_bytes() -> None:
    record = timeline("r" + "a" * 1000 + "|")
    assert len(record.chunks.to_bytes()) / 1000 < 40
