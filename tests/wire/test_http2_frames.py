"""HTTP/2 frames, beside a server by the h2 package: the same answer however its bytes are split."""

import random
from struct import pack

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived
from h2.settings import SettingCodes

from otel_llm.errors import RemoteError
from otel_llm.wire import http2_frames
from otel_llm.wire.http2_frames import Came, Http2Frames

HEAD = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"h"), (b":path", b"/v1"), (b"x-team", b"a")]
PARTS = [b"one", b"two" * 20, b"three"]
LARGEST = (1 << 31) - 1


class Pair:
    """The client's frames and a server; what the client leaves to be sent reaches the server at once."""

    def __init__(self, settings: dict[SettingCodes, int] | None = None) -> None:
        self.frames, self.server = Http2Frames(), H2Connection(H2Configuration(client_side=False))
        self.server.initiate_connection()
        self.server.update_settings(settings or {})
        self.heard = self.server.receive_data(self.frames.opening())
        self.came = [self.take()]

    def ask(self, body: bytes = b"") -> None:
        self.heard += self.server.receive_data(self.frames.asking(HEAD, body))

    def take(self) -> Came:
        """Have the client read all that the server has to send."""
        came = self.frames.feed(self.server.data_to_send())
        self.heard += self.server.receive_data(self.frames.outgoing())
        return came

    def begin(self, stream: int = 1, *headers: tuple[str, str]) -> Came:
        self.server.send_headers(stream, [(":status", "200"), *headers])
        return self.take()

    def say(self, data: bytes, stream: int = 1, *, end: bool = False) -> Came:
        self.server.send_data(stream, data, end_stream=end)
        return self.take()


def asked() -> Http2Frames:
    """Return the client's frames with a request sent."""
    pair = Pair()
    pair.ask(b"{}")
    return pair.frames


@pytest.fixture(scope="module")
def wire() -> bytes:
    """All that a server sends behind its greeting: pings, padding, a head in two frames, trailers."""
    pair = Pair()
    pair.ask(b"{}")
    server = pair.server
    server.send_headers(1, [(":status", "103"), ("link", "x")])
    server.send_headers(1, [(":status", "200"), ("x-long", "y" * 30_000)])  # a HEADERS frame and CONTINUATION
    server.ping(b"12345678")
    server.send_data(1, PARTS[0])
    server.send_data(1, PARTS[1], pad_length=7)
    server.ping(b"87654321")
    server.send_data(1, PARTS[2])
    server.send_headers(1, [("grpc-status", "0")], end_stream=True)
    return server.data_to_send()


def test_an_answer_is_the_same_wherever_it_is_split(wire: bytes) -> None:
    for at in [*range(0, len(wire), 1009), *range(len(wire) - 200, len(wire) + 1)]:
        frames = asked()
        pieces = [frames.feed(piece) for piece in (wire[:at], wire[at:]) if piece]
        heads, trailers = [p.head for p in pieces if p.head], [p.trailers for p in pieces if p.trailers]
        assert [head[0] for head in heads] == [(b":status", b"200")], f"split at byte {at}"
        assert b"".join(piece.body for piece in pieces) == b"".join(PARTS)
        assert trailers == [[(b"grpc-status", b"0")]]
        assert pieces[-1].ended
        assert not frames.broken
        assert frames.outgoing().count(b"12345678") == 1, "expected an answer to each ping"


def test_an_answer_byte_by_byte(wire: bytes) -> None:
    frames = asked()
    pieces = [frames.feed(wire[at : at + 1]) for at in range(len(wire))]
    assert b"".join(piece.body for piece in pieces) == b"".join(PARTS)
    assert [piece.ended for piece in pieces] == [False] * (len(wire) - 1) + [True]


def test_what_is_cut_short_has_no_end(wire: bytes) -> None:
    for at in range(len(wire) - 100, len(wire)):
        assert not asked().feed(wire[:at]).ended


def test_bytes_that_were_changed_end_the_connection_or_do_nothing(wire: bytes) -> None:
    chance = random.Random(7)
    for _ in range(150):
        changed, frames = bytearray(wire[-300:]), asked()
        for _ in range(3):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        frames.feed(wire[:-300])
        frames.feed(bytes(changed))
        frames.outgoing()
        frames.closing()


def test_a_read_in_the_middle_shows_by_its_frames() -> None:
    pair = Pair()
    pair.ask()
    pair.server.send_headers(1, [(":status", "200")])
    pair.server.send_data(1, b"first")
    head = pair.server.data_to_send()
    assert not pair.frames.goes_on(head)
    pair.frames.feed(head)
    pair.server.send_data(1, b"second")
    one = pair.server.data_to_send()
    assert pair.frames.goes_on(one)
    assert pair.frames.goes_on(one + one)
    assert pair.frames.feed(one + one).body == b"secondsecond"
    assert not pair.frames.goes_on(one[:-1])
    pair.server.send_data(1, b"last", end_stream=True)
    last = pair.server.data_to_send()
    assert not pair.frames.goes_on(one + last)
    assert pair.frames.feed(one + last) == Came(body=b"secondlast", ended=True)
    assert not pair.frames.goes_on(one), "nothing is in the middle of an answer that has ended"


def test_an_answer_of_stated_length_is_held_to_it() -> None:
    pair = Pair()
    pair.ask()
    pair.begin(1, ("content-length", "10"))
    assert pair.say(b"12345").body == b"12345"
    assert pair.say(b"67890", end=True) == Came(body=b"67890", ended=True)
    pair.ask()
    pair.begin(3, ("content-length", "10"))
    assert not pair.say(b"12345", 3, end=True).ended
    assert "InvalidBodyLengthError" in pair.frames.broken


def test_the_window_of_the_connection_is_opened_by_what_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may send 2 GiB before it waits, and never more: opened too far, a window is an error of the protocol."""
    monkeypatch.setattr(http2_frames, "_REFILL", 50_000)
    pair = Pair()
    assert pair.server.outbound_flow_control_window == LARGEST
    sent = 0
    for stream in (1, 3, 5):
        pair.ask()
        headers = [("content-length", "30000")] if stream == 3 else []
        pair.begin(stream, *headers)
        for _ in range(30):
            pair.say(b"x" * 1000, stream)
            sent += 1000
            assert LARGEST - 51_000 <= pair.server.outbound_flow_control_window <= LARGEST
        pair.say(b"", stream, end=True)
        assert pair.server.remote_settings.initial_window_size == LARGEST
    assert sent == 90_000
    assert not pair.frames.broken


def test_a_body_waits_for_the_windows_of_the_server() -> None:
    body = bytes(range(256)) * 2000
    pair = Pair({SettingCodes.INITIAL_WINDOW_SIZE: 100_000, SettingCodes.MAX_FRAME_SIZE: 20_000})
    pair.ask(body)
    for _ in range(20):
        heard, pair.heard = pair.heard, []
        for event in heard:
            if isinstance(event, DataReceived):
                body = body.removeprefix(event.data)
                pair.server.acknowledge_received_data(event.flow_controlled_length, 1)
        pair.take()
    assert not body, "expected all of it to come, in order"


def test_an_answer_that_is_given_up_says_by_which_code() -> None:
    pair = Pair()
    pair.ask()
    pair.begin()
    pair.server.reset_stream(1, ErrorCodes.ENHANCE_YOUR_CALM)
    assert pair.take() == Came(reset="ENHANCE_YOUR_CALM")
    assert pair.frames.open, "the connection takes another"
    pair.ask()
    assert pair.begin(3).head


def test_what_is_abandoned_is_told_to_the_server_and_comes_no_more() -> None:
    pair = Pair()
    pair.ask()
    pair.begin()
    pair.server.send_data(1, b"late")
    pair.frames.abandon()
    late = pair.server.data_to_send()
    assert pair.frames.feed(late) == Came()
    events = pair.server.receive_data(pair.frames.outgoing())
    assert [getattr(event, "error_code", None) for event in events] == [ErrorCodes.CANCEL]
    pair.ask()
    assert pair.begin(3).head


def goodbye(last: int, code: int = 0, words: bytes = b"") -> bytes:
    return pack("!xHBBI", 8 + len(words), 7, 0, 0) + pack("!II", last, code) + words


def test_behind_a_goodbye_comes_the_rest_of_the_answer() -> None:
    """As from a server that ends connections after some requests, or before a new version of it starts."""
    pair = Pair()
    pair.ask()
    pair.begin()
    assert pair.frames.feed(goodbye(LARGEST) + goodbye(1, words=b"max_age")) == Came()
    assert not pair.frames.open
    assert pair.frames.leaving == "the server goes away: NO_ERROR: max_age"
    assert pair.say(b"rest").body == b"rest"
    assert pair.say(b"", end=True).ended
    assert not pair.frames.broken


def test_a_goodbye_that_leaves_the_request_out_ends_it() -> None:
    pair = Pair()
    pair.ask()
    pair.frames.feed(goodbye(0, 11))
    assert pair.frames.broken == "the server goes away: ENHANCE_YOUR_CALM"


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "an answer that begins with 'HTTP/1.1 400 Bad'"),
        (pack("!xHBBI", 8, 6, 0, 3) + bytes(8), "ProtocolError"),  # a PING of a stream
        (b"\xff" * 40_000, "a frame of 16777215 bytes, more than was allowed"),
        (pack("!xHBBI", 5, 1, 5, 1) + b"\xff\xff\xff\xff\xff", "ProtocolError"),
    ],
)
def test_what_is_no_http2_ends_the_connection(wire: bytes, words: str) -> None:
    frames = Http2Frames()
    frames.opening()
    if not wire.startswith(b"HTTP/"):
        server = H2Connection(H2Configuration(client_side=False))
        server.initiate_connection()
        frames.feed(server.data_to_send())
        frames.asking(HEAD, b"")
    frames.feed(wire)
    assert words in frames.broken
    assert not frames.open
    assert frames.feed(wire) == Came()


def test_a_server_that_allows_no_request_is_an_error() -> None:
    pair = Pair({SettingCodes.MAX_CONCURRENT_STREAMS: 0})
    with pytest.raises(RemoteError, match="expected a request that HTTP/2 can carry"):
        pair.ask()


def test_the_request_is_what_was_asked() -> None:
    pair = Pair()
    pair.ask(b"body")
    (request,) = (event for event in pair.heard if isinstance(event, RequestReceived))
    assert list(request.headers) == HEAD
