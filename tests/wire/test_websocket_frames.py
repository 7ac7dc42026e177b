"""WebSocket frames: the same messages however they are split; what is cut, broken or too long ends the connection."""

import pytest
from websockets.frames import Close, Frame, Opcode

from otel_llm.wire import websocket_frames
from otel_llm.wire.websocket_frames import WebSocketFrames

URL = "ws://localhost/v1/responses"


def frame(data: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=False)


LONG = b"y" * 70_000
MESSAGES = [b'{"a": 1}', b"x" * 200, b"hello", LONG]
WIRE = b"".join([
    frame(MESSAGES[0]),
    frame(b"", Opcode.PING),
    frame(MESSAGES[1]),
    frame(b"he", fin=False),
    frame(b"", Opcode.PING),
    frame(b"llo", Opcode.CONT),
    frame(LONG),
])  # fmt: skip


def test_messages_are_the_same_wherever_they_are_split() -> None:
    for at in [*range(300), *range(300, len(WIRE), 997), len(WIRE)]:
        frames = WebSocketFrames(URL, opened=True)
        assert [*frames.feed(WIRE[:at]), *frames.feed(WIRE[at:])] == MESSAGES, f"split at byte {at}"
        assert frames.outgoing().count(b"\x8a") >= 2, "expected an answer to each ping"


def test_messages_byte_by_byte() -> None:
    frames = WebSocketFrames(URL, opened=True)
    short = WIRE[: -len(frame(LONG))]
    assert [message for byte in short for message in frames.feed(bytes([byte]))] == MESSAGES[:-1]


def test_what_is_cut_short_brings_only_the_messages_before() -> None:
    ends = [len(frame(MESSAGES[0])), len(WIRE)]
    for at in range(ends[0]):
        assert list(WebSocketFrames(URL, opened=True).feed(WIRE[:at])) == []
    for at in (len(WIRE) - 1, len(WIRE) - 60_000):
        frames = WebSocketFrames(URL, opened=True)
        assert list(frames.feed(WIRE[:at])) == MESSAGES[:-1]
        assert list(frames.end()) == []


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        (b"\x83\x00", "invalid opcode"),
        (b"\xc1\x00", "reserved bits"),
        (frame(b"llo", Opcode.CONT), "unexpected continuation frame"),
        pytest.param(Frame(Opcode.TEXT, b"masked").serialize(mask=True), "incorrect masking", id="masked"),
    ],
)
def test_what_is_no_frame_ends_the_connection(wire: bytes, words: str) -> None:
    frames = WebSocketFrames(URL, opened=True)
    assert list(frames.feed(frame(b"good") + wire)) == [b"good"]
    assert not frames.open
    kind, said = frames.ending
    assert (kind, words in said) == ("bad_websocket", True), said


def test_a_message_that_is_too_long_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_frames, "MOST", 100)
    frames = WebSocketFrames(URL, opened=True)
    assert list(frames.feed(frame(b"x" * 100))) == [b"x" * 100]
    assert list(frames.feed(frame(b"x" * 101)[:4])) == []
    assert frames.ending == ("bad_websocket", "frame with 101 bytes exceeds limit of 100 bytes")
    assert frames.outgoing()[:1] == b"\x88", "expected the server to be told"


def test_a_close_code_is_the_kind_and_its_reason_the_words() -> None:
    frames = WebSocketFrames(URL, opened=True)
    frames.feed(frame(Close(1011, "out of memory").serialize(), Opcode.CLOSE))
    assert frames.ending == ("close_1011", "out of memory")
    silent = WebSocketFrames(URL, opened=True)
    silent.feed(frame(b"", Opcode.CLOSE))
    assert silent.ending == ("close_1005", "the server closed the WebSocket with code 1005")


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 6\r\n\r\nno key", "401", "HTTP 401: no key"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200", "HTTP 200"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "bad_websocket", "Connection header"),
        (b"nonsense\r\n\r\n", "bad_websocket", "valid HTTP"),
    ],
)
def test_a_server_that_refuses_is_quoted(answer: bytes, kind: str, words: str) -> None:
    frames = WebSocketFrames(URL)
    assert b"\r\nauthorization: secret\r\n" in frames.handshake({"authorization": "secret"})
    assert frames.refusal is None
    frames.feed(answer)
    error = frames.refusal
    assert error is not None
    assert (error.kind, words in str(error)) == (kind, True), error
