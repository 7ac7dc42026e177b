"""HTTP/2 in the place of a connection: one request at a time, and its answer in the form that HTTP/1.1 gives it.

The bytes come by a connection of `otel_llm.wire.connection`, with its stamps, so the lag of a read is what it is by
HTTP/1.1. Only the frames are h2's. What is above a connection knows of one form of HTTP, and of none of its versions.
"""

import asyncio
from collections.abc import Sequence
from typing import ClassVar, Final, Self

from otel_llm.clock import now_ns
from otel_llm.errors import RemoteError
from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.http2_frames import Came, Fields, Http2Frames
from otel_llm.wire.peer import Bytes, Layer, Peer

__all__ = ["Http2Connection", "taken_apart"]

_OF_ITS_CONNECTION: Final = frozenset((b"connection", b"content-length", b"keep-alive", b"transfer-encoding"))
"""Headers that HTTP/2 has no use for, or that say how long a body is, which its frames say."""

_NOT_SENT: Final = _OF_ITS_CONNECTION | {b"host"}


class Http2Connection(Layer[Http2Frames]):
    """One open connection for one request at a time.

    tls: whether the connection below is encrypted
    """

    what = "a greeting of HTTP/2"
    hint: ClassVar[str] = "where it has HTTP/1.1 alone, leave --http2 out"
    """What to try where the server does not speak HTTP/2."""

    def __init__(self, below: Bytes, *, tls: bool) -> None:
        super().__init__(below, Http2Frames())
        self._scheme = b"https" if tls else b"http"

    async def greet(self, within_s: float) -> Self:
        """Return it once the server has greeted. Raises RemoteError of kind `connect_timeout` or `http2`."""
        return await self.made(self._frames.opening(), within_s)

    # -- what the worker calls ---------------------------------------------------------------------------------

    def _let_go(self) -> None:
        self._frames.abandon()
        if self._below.open:
            self._below.write(self._frames.outgoing())

    def send(self, wire: bytes, peer: Peer) -> int:
        """Send a request, in the form of HTTP/1.1, for `peer`; return the moment before its first byte left."""
        self._peer = peer
        self.used += 1
        try:
            asked = self._frames.asking(*self._request(wire))
        except RemoteError as error:
            asyncio.get_running_loop().call_soon(self.lost, error)
            return now_ns()
        return self._below.send(asked, self)

    # -- what the connection below calls -----------------------------------------------------------------------

    def in_the_middle(self, read: bytes) -> bool:
        """Return whether this is a frame of an answer whose first token has come, and not the last one."""
        return self._begun and self._frames.goes_on(read)

    @property
    def _begun(self) -> bool:
        """Whether the first token of the answer has come."""
        return self._peer is not None and bool(self._peer.mid_stream_tail)

    def received(self, reads: Sequence[bytes], arrivals: Arrivals) -> None:
        """Take what reads brought."""
        came = list(map(self._frames.feed, reads))
        self._below.write(self._frames.outgoing())
        if not self._opened.done():
            self._open()
        if self._peer is not None:
            self._answer(came, arrivals)
        if self._frames.broken and self._opened.done():
            self._below.close()
            self.lost(ConnectionError(self._frames.broken))

    def lost(self, error: Exception | None) -> None:
        """Take the end of the connection below, or of the answer."""
        if not self._opened.done():
            self._refuse(str(error) if error else "a closed connection")
        elif (peer := self._peer) is not None:
            self._peer = None
            said = self._frames.leaving
            peer.lost(ConnectionError(said) if said and error is None else error)

    def _open(self) -> None:
        if self._frames.broken:
            self._refuse(self._frames.broken)
        elif self._frames.ready:
            self._opened.set_result(None)

    def _refuse(self, got: str) -> None:
        self._opened.set_exception(RemoteError("http2", "a server of HTTP/2", got, self.hint))

    # -- what requests and answers are ---------------------------------------------------------------------------

    def _request(self, wire: bytes) -> tuple[Fields, bytes]:
        """Return the head of a request and its body."""
        (method, path), headers, body = taken_apart(wire)
        authority = next((value for name, value in headers if name == b"host"), b"")
        fields = [(b":method", method), (b":scheme", self._scheme), (b":authority", authority), (b":path", path)]
        return [*fields, *(each for each in headers if each[0] not in _NOT_SENT)], body

    def _answer(self, came: Sequence[Came], arrivals: Arrivals) -> None:
        """Hand on what came."""
        peer, reads = self._peer, list(map(_as_http1, came))
        assert peer is not None  # noqa: S101  # asked before
        if any(reads):
            peer.received(reads, arrivals)
        if reset := came[-1].reset:
            self.lost(ConnectionError(f"the server gave the answer up: {reset}"))


def taken_apart(wire: bytes) -> tuple[tuple[bytes, bytes], list[tuple[bytes, bytes]], bytes]:
    """Return the method and the path, the headers, and the body of a request in the form of HTTP/1.1."""
    head, _, body = wire.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    method, path, _ = first.split(b" ")
    headers = [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
    return (method, path), headers, body


def _as_http1(came: Came) -> bytes:
    parts = list[bytes]()
    if came.head:
        (_, status), *fields = came.head
        lines = [b"%b: %b\r\n" % field for field in fields if field[0] not in _OF_ITS_CONNECTION]
        parts = [b"HTTP/1.1 %b \r\n" % status, *lines, b"transfer-encoding: chunked\r\n\r\n"]
    if came.body:
        parts.append(b"%x\r\n%b\r\n" % (len(came.body), came.body))
    if came.ended:
        parts.append(b"0\r\n\r\n")
    return b"".join(parts)
