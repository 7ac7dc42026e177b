"""A record as text and as bytes: what was written is what is read."""

from array import array
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.measures import ChunkTable
from otel_llm.record import CHUNK_COLUMNS, Chunks, from_json, to_json
from otel_llm.sinks.sqlite import pack
from otel_llm.sinks.stored_run import unpack, unpack_each
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


def plainly(chunks: Chunks) -> bytes:
    """Return the chunks as run files of before have them."""
    counts = array("I", (len(chunks.at_ns), len(chunks.lag_ns)))
    return b"".join(each.tobytes() for each in (counts, *(getattr(chunks, name) for name, *_ in CHUNK_COLUMNS)))


def packed(chunks: Chunks) -> bytes:
    return pack([chunks])[0]


def table_of(blobs: list[bytes], *, lags: bool = True) -> ChunkTable:
    return ChunkTable(**unpack(blobs, lags=lags))


def chunks_of(rows: list[tuple[int, int, int]]) -> Chunks:
    chunks = Chunks()
    for at, number, kind in rows:
        chunks.at_ns.append(at)
        for column in (chunks.read, chunks.size, chunks.tokens):
            column.append(number)
        chunks.kind.append(kind)
        chunks.lag_ns.append(at)
    return chunks


numbers = st.one_of(st.integers(-(2**62), 2**62), st.integers(0, 2**33), st.integers(0, 300))
rows_of_chunks = st.lists(
    st.tuples(numbers, st.integers(0, 2**32 - 1) | st.integers(0, 300), st.integers(0, 4)), max_size=30
)


@pytest.mark.parametrize("write", [plainly, packed])
@given(rows_of_chunks)
def test_chunk_columns_and_back(write: Callable[[Chunks], bytes], rows: list[tuple[int, int, int]]) -> None:
    chunks = chunks_of(rows)
    blob = write(chunks)
    assert Chunks.from_bytes(blob) == chunks
    if rows:
        with pytest.raises(ValueError, match="bytes or more"):
            Chunks.from_bytes(blob[:-1])
        with pytest.raises(ValueError, match="whole columns"):
            table_of([blob, blob[:-1]])
    for read, made in zip(
        table_of([blob, write(Chunks()), blob]), ChunkTable.of([chunks, Chunks(), chunks]), strict=True
    ):
        np.testing.assert_array_equal(read, made)
    *rest, lags, owner = table_of([blob, blob], lags=False)
    assert (len(lags), len(owner)) == (0, 2 * len(rows))
    assert all(len(column) == 2 * len(rows) for column in rest)


@given(st.lists(rows_of_chunks, max_size=4), st.lists(rows_of_chunks.map(sorted), max_size=4))
def test_answers_are_packed_together_and_read_beside_those_of_before(some: Any, others: Any) -> None:
    answers = [chunks_of(rows) for rows in some + others]
    blobs = pack(answers)
    assert [Chunks.from_bytes(blob) for blob in blobs] == answers
    assert unpack_each([*blobs, *map(plainly, answers)]) == answers * 2
    beside = table_of([*blobs, *map(plainly, answers), *map(packed, answers)])
    for read, made in zip(beside, ChunkTable.of(answers * 3), strict=True):
        np.testing.assert_array_equal(read, made)


def test_a_head_that_was_cut_is_damage() -> None:
    for blob in (b"", b"\1\0\0", packed(RECORD.chunks)[:10]):
        with pytest.raises(ValueError, match="bytes or more"):
            Chunks.from_bytes(blob)
        with pytest.raises(ValueError, match="got a part"):
            table_of([packed(RECORD.chunks), blob])


def test_a_width_that_no_number_has_is_damage() -> None:
    blob = bytearray(packed(RECORD.chunks))
    blob[20] = 3
    with pytest.raises(ValueError, match="bytes or more"):
        Chunks.from_bytes(bytes(blob))
    with pytest.raises(ValueError, match="whole columns"):
        table_of([bytes(blob)])


def test_a_packet_costs_at_most_fourteen_bytes() -> None:
    chunks = timeline("r" + "a" * 1000 + "|").chunks
    lags = array("q", [150_000] * len(chunks))
    assert len(packed(msgspec.structs.replace(chunks, lag_ns=lags))) / 1000 < 14
