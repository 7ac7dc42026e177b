"""What workers noted becomes the records that an observation on the spot would have given."""

import struct
from array import array
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from otel_llm.load.coordinator.reckoning import Reckoning
from otel_llm.load.worker.raw import Raw
from otel_llm.observation import StreamObservation
from otel_llm.record import OTHER, PADDING, TEXT
from otel_llm.tokens import resolve
from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.connection import note_reads
from otel_llm.wire.said import Said
from otel_llm.wire.target import Target
from tests.load.test_exchange import PLAN

OFFSET, MS = 10**18, 1_000_000


def stamp(at_ns: int) -> bytes:
    return struct.pack("qq", *divmod(at_ns + OFFSET, 1_000_000_000))


def numbers(*values: int) -> list[bytes]:
    """Return a column in two parts."""
    return [struct.pack(f"{len(part)}I", *part) for part in (values[:1], values[1:])]


def noted(number: int, shift: int) -> Raw:
    arrivals = Arrivals()
    for at in (110, 120, 130):
        note_reads(arrivals, [(at + shift) * MS + 7], [stamp((at + shift) * MS)], OFFSET)
    return Raw(
        number, "ab" * 16, "cd" * 8, due_ns=99 * MS, intended_ns=98 * MS, sent_ns=100 * MS, connect_ns=5,
        arrivals=arrivals, head=1, read=numbers(1, 2, 2, 3), size=numbers(10, 20, 21, 30), length=numbers(0, 1, 7, 0),
        tokens=numbers(0, 0, 0, 0), kind=[bytes((PADDING,)), bytes((TEXT, TEXT, OTHER))], outcome="complete",
        ended_ns=(131 + shift) * MS, status=200, said=Said(3, 4, 1, 0, ("stop",), "m-1", "r"),
    )  # fmt: skip


def test_the_record_is_that_of_an_observation_on_the_spot() -> None:
    spot = StreamObservation(
        sent_ns=100 * MS, operation="chat", provider="openai", model="m", kind="client", stream=True,
        server_address="h", server_port=80, index=4, trace_id="ab" * 16, span_id="cd" * 8, due_ns=99 * MS,
        intended_ns=98 * MS, connect_ns=5, headers_ns=110 * MS, status=200, finish_reasons=("stop",),
        response_model="m-1", response_id="r",
    )  # fmt: skip
    spot.mark_read(110 * MS, lag_ns=7, read=1, size=10, length=0, kind=PADDING)
    spot.mark_read(120 * MS, lag_ns=7, read=2, size=20, length=1, kind=TEXT)
    spot.mark_read(120 * MS, lag_ns=7, read=2, size=21, length=7, kind=TEXT)
    spot.mark_read(130 * MS, lag_ns=7, read=3, size=30, length=0, kind=OTHER)
    spot.usage(input=3, output=4, cached=1, reasoning=0)
    spot.end(131 * MS)
    (item,) = Reckoning(PLAN).reckon([noted(4, 0)])
    assert item.record == spot.record
    assert item.record.flags == ("apportioned",)
    assert list(item.record.chunks.tokens) == [0, 1, 3, 0]


def test_many_at_once_are_what_each_is_alone() -> None:
    raws = [noted(number, number * 1000) for number in range(5)]
    raws.insert(
        2, Raw(9, sent_ns=1, ended_ns=2, outcome="error", error_type="connect", error_message="no", unsent=True)
    )
    together = Reckoning(PLAN).reckon(raws)
    assert together == [item for raw in raws for item in Reckoning(PLAN).reckon([raw])]
    assert [item.record.index for item in together] == [0, 1, 9, 2, 3, 4]
    assert (together[2].record.flags, together[2].record.error_message, len(together[2].record.chunks)) == (
        ("unsent",),
        "no",
        0,
    )


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 9)), max_size=8),
    st.one_of(st.none(), st.integers(0, 9)),
    st.one_of(st.none(), st.integers(0, 3)),
)
def test_tokens_are_those_of_the_one_rule(
    rows: list[tuple[int, int, int]], total: int | None, reasoning: int | None
) -> None:
    kind, marked, length = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    raw = Raw(0, sent_ns=1, ended_ns=2, outcome="complete", said=Said(None, total, None, reasoning, ("stop",)))
    note_reads(raw.arrivals, [1])
    raw.kind, raw.read = [bytes(kind)], [struct.pack(f"{len(rows)}I", *[1] * len(rows))]
    raw.size = raw.length = [struct.pack(f"{len(rows)}I", *length)]
    raw.tokens = [struct.pack(f"{len(rows)}I", *marked)]
    shares, output, source, flags = resolve(
        array("B", kind), array("I", marked), array("I", length), provider=total, hidden=reasoning
    )
    record = Reckoning(PLAN).reckon([raw])[0].record
    assert (record.chunks.tokens, record.output_tokens, record.token_source) == (shares, output, source)
    assert set(flags) <= set(record.flags)


def test_one_that_was_cut_short_ends_with_what_came_last() -> None:
    raw = noted(0, 0)
    raw.outcome, raw.ended_ns = "cancelled", 999 * MS
    record = Reckoning(PLAN).reckon([raw])[0].record
    assert (record.outcome, record.error_type, record.ended_ns) == ("cancelled", "interrupted", 130 * MS)
    raw = Raw(0, sent_ns=1, outcome="cancelled", ended_ns=5)
    assert Reckoning(PLAN).reckon([raw])[0].record.ended_ns == 5


def test_where_each_request_went_is_told_by_its_number() -> None:
    targets = (Target.parse("http://a:1/v1/chat/completions"), Target.parse("http://b/v1/chat/completions", "/tmp/x"))
    plan = replace(PLAN, targets=targets)
    records = [item.record for item in Reckoning(plan).reckon([Raw(n, outcome="complete") for n in (0, 1)])]
    assert [(r.server_address, r.server_port) for r in records] == [("a", 1), ("/tmp/x", None)]
