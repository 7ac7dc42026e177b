"""AWS's binary event stream: what botocore reads from the same bytes, and what is none."""

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from struct import pack
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.errors import RemoteError
from otel_llm.wire.event_stream import EventStream

CASES = sorted((Path(__file__).parents[1] / "plugins" / "cases" / "bedrock_converse").glob("*/wire.event_stream"))


def message(payload: bytes, headers: Mapping[str, bytes | int | bool], size: int | None = None) -> bytes:
    head = b""
    for name, value in headers.items():
        head += pack(">B", len(name)) + name.encode()
        if isinstance(value, bool):
            head += pack(">B", 0 if value else 1)
        elif isinstance(value, int):
            head += pack(">Bi", 4, value)
        else:
            head += pack(">BH", 7, len(value)) + value
    prelude = pack(">II", len(head) + len(payload) + 16 if size is None else size, len(head))
    whole = prelude + pack(">I", crc32(prelude)) + head + payload
    return whole + pack(">I", crc32(whole))


@pytest.mark.parametrize("wire", CASES, ids=lambda path: path.parent.name)
def test_it_reads_what_botocore_reads(wire: Path) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(wire.read_bytes())
    theirs = [
        {each.headers.get(":event-type", each.headers.get(":exception-type")): json.loads(each.payload)}
        for each in buffer
    ]
    assert [json.loads(event) for event in EventStream().feed(wire.read_bytes())] == theirs


@given(cuts=st.lists(st.integers(0, 400), max_size=12))
def test_it_may_come_in_any_pieces(cuts: list[int]) -> None:
    wire = CASES[-1].read_bytes()
    edges = [0, *sorted(cuts), len(wire)]
    framer = EventStream()
    events = [event for a, b in pairwise(edges) for event in framer.feed(wire[a:b])]
    assert events == EventStream().feed(wire)
    assert framer.end() == ()


def test_headers_of_other_types_are_passed_over_and_an_error_has_its_code() -> None:
    kept = message(b'{"a":1}', {"n": 7, "yes": True, ":event-type": b"x"})
    empty = message(b"", {":event-type": b"y"})
    error = message(b"", {":message-type": b"error", ":error-code": b"Late", ":error-message": b'too "late"'})
    assert [json.loads(event) for event in EventStream().feed(kept + empty + error)] == [
        {"x": {"a": 1}}, {"y": {}}, {"error": {"code": "Late", "message": 'too "late"'}}
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wire",
    [
        b"\x00" * 40,
        b'HTTP/1.1 200 OK\r\n{"a": 1}',
        message(b"{}", {":event-type": b"x"}, size=8),
        message(b"{}", {":event-type": b"x"}, size=1 << 31),
        message(b"{}", {":event-type": b"x"})[:-1] + b"\x00",
        message(b"{}", {":event-type": b"x"}).replace(b"{}", b"[]"),
        message(b"{}", {"n" * 200: b""})[:12] + b"\xff" * 40,
    ],
)
def test_bytes_that_are_none_are_an_error(wire: bytes) -> None:
    with pytest.raises(RemoteError) as error:
        EventStream().feed(wire + b"\x00" * 300)
    assert error.value.kind == "bad_event"


def test_half_a_message_is_none() -> None:
    wire = message(b"{}", {":event-type": b"x"})
    framer = EventStream()
    assert framer.feed(wire[:-1]) == []
    assert framer.end() == ()
