"""Server-sent events, to the standard, however they are cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.wire.ndjson import Ndjson, Whole
from otel_llm.wire.sse import Sse


def reference(stream: bytes) -> list[bytes]:
    """The standard's own algorithm, line by line, over the whole stream, with what clients make of three things.

    No event without data; the end of the body ends an event; a line that is a JSON object is an event by itself.
    """
    events: list[bytes] = []
    data: list[bytes] = []
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for line in [*text.split(b"\n"), b""]:
        name, _, value = line.partition(b":")
        if not line:
            if any(data):
                events.append(b"\n".join(data))
            data = []
        elif name == b"data":
            data.append(value.removeprefix(b" "))
            if data == [b'{"a":1}']:
                events += data
                data = []
    return events


def feed(framer: Sse | Ndjson | Whole, pieces: list[bytes]) -> list[bytes]:
    return [event for piece in pieces for event in framer.feed(piece)] + list(framer.end())


TWO = b'data: {"a": "\xc3\xa9"}\n\ndata: b\n\n'


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_two_events_at_every_split_point(ending: bytes) -> None:
    stream = TWO.replace(b"\n", ending)
    for i in range(len(stream) + 1):
        for j in range(i, len(stream) + 1):
            assert feed(Sse(), [stream[:i], stream[i:j], stream[j:]]) == [b'{"a": "\xc3\xa9"}', b"b"]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data\n\n", []),
        (b": comment\n\n", []),
        (b"event: x\nid: 1\nretry: 5\ndata: a\n\n", [b"a"]),
        (b"datax: a\n\n", []),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a\n", [b"a"]),  # not closed: the standard drops it, clients do not
        (b"data: a", [b"a"]),
        (b"data:\n\ndata: \n\ndata: a\n\ndata: \n\n", [b"a"]),
        (b'data: {"a":1}\ndata: {"b":2}\ndata: [DONE]\n', [b'{"a":1}', b'{"b":2}', b"[DONE]"]),
        (b'data: {"a":\ndata: 1}\n\n', [b'{"a":\n1}']),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"data: [DONE]\n\n", [b"[DONE]"]),
    ],
)
def test_the_standards_cases(stream: bytes, events: list[bytes]) -> None:
    assert feed(Sse(), [stream]) == events
    assert feed(Sse(), [stream[i : i + 1] for i in range(len(stream))]) == events


def test_a_bare_cr_ends_an_event_without_waiting_for_the_next_read() -> None:
    framer = Sse()
    assert list(framer.feed(b"data: a\r\r")) == [b"a"]
    assert list(framer.feed(b"\ndata: b\r\r")) == [b"b"]


lines = st.sampled_from(
    [b'data: {"a":1}', b"data:x", b"data", b"data: ", b": c", b"event: e", b"data:  two", b"datax: 1", b"", b"", b"da"]
)
streams = st.tuples(
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.lists(st.tuples(lines, st.sampled_from([b"\n", b"\r", b"\r\n"])), max_size=14),
).map(lambda parts: parts[0] + b"".join(line + end for line, end in parts[1]))


@settings(max_examples=600)
@given(streams, st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_any_stream_in_any_pieces_gives_what_the_standard_gives(stream: bytes, sizes: list[int]) -> None:
    pieces, start, turn = [], 0, 0
    while start < len(stream):
        size = sizes[turn % len(sizes)]
        pieces.append(stream[start : start + size])
        start, turn = start + size, turn + 1
    assert feed(Sse(), pieces) == reference(stream)


whole = st.lists(
    st.sampled_from([b"data: a\n\n"] * 4 + [b"data: b\ndata: c\n\n", b": c\n\n", b"\n", b"data: a\n", b"data:a\n\n"])
).map(b"".join)


@settings(max_examples=600)
@given(whole, whole)
def test_reads_that_end_where_events_end_are_no_exception(first: bytes, second: bytes) -> None:
    for begin in ([], [b"data: x\n\n"], [b"\xef", b"\xbb\xbf"], [b"d"]):
        assert feed(Sse(), [*begin, first, second]) == reference(b"".join(begin) + first + second)


@settings(max_examples=600)
@given(whole, st.lists(whole, min_size=1, max_size=4))
def test_reads_of_one_event_each_are_told_from_all_others(before: bytes, reads: list[bytes]) -> None:
    framer, alone = Sse(), Sse()
    for one in (framer, alone):
        one.feed(before)
    found, expected = framer.singles(reads), [alone.feed(read) for read in reads]
    if found is not None:
        assert [[event] for event in found] == [list(events) for events in expected]
    else:
        assert [list(framer.feed(read)) for read in reads] == [list(events) for events in expected]


def test_whole_events_one_a_read_are_told() -> None:
    framer = Sse()
    assert framer.singles([b"data: a\n\n"]) is None  # the first read may begin with a byte order mark
    framer.feed(b"data: a\n\n")
    assert framer.singles([b"data: b\n\n", b"data: c\n\n"]) == [b"b", b"c"]
    for odd in (b"data: b\n\ndata: c\n\n", b"data: b\n", b": b\n\n", b"data: b\r\n\n", b"data: b\ndata: c\n\n", b""):
        assert framer.singles([b"data: a\n\n", odd]) is None


def test_lines_of_json_need_no_last_line_end() -> None:
    stream = b'{"a":1}\r\n\n{"b":2}\n{"c":3}'
    for i in range(len(stream) + 1):
        assert feed(Ndjson(), [stream[:i], stream[i:]]) == [b'{"a":1}', b'{"b":2}', b'{"c":3}']


def test_a_whole_body_comes_at_the_end() -> None:
    framer = Whole()
    assert list(framer.feed(b"ab")) == []
    assert feed(framer, [b"c"]) == [b"abc"]
    assert feed(Whole(), []) == []
