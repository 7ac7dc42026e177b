"""A WebSocket in the place of a connection: each request is a message or some, each message of its answer an event.

The bytes come by a connection of `otel_llm.wire.connection`, with its stamps: a message has the time of the read that
completed it, so the lag of a read is what it is by HTTP. Only the frames are the websockets package's.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from otel_llm.clock import now_ns
from otel_llm.errors import RemoteError
from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.messages import MessagePeer, SocketProtocol
from otel_llm.wire.peer import Bytes, Layer, Peer
from otel_llm.wire.websocket_frames import WebSocketFrames

__all__ = ["WebSocketConnection", "upgrade"]


class WebSocketConnection(Layer[WebSocketFrames]):
    """One open WebSocket."""

    what = "a WebSocket"

    def __init__(self, below: Bytes, frames: WebSocketFrames, protocol: type[SocketProtocol]) -> None:
        super().__init__(below, frames)
        self._protocol = protocol

    # -- what the worker calls ---------------------------------------------------------------------------------

    def send(self, wire: bytes, peer: Peer) -> int:
        """Send a request, in the form that HTTP gives it, for `peer`; return the moment before its first byte left."""
        messages = self._protocol.messages(wire.partition(b"\r\n\r\n")[2])
        self._peer = peer
        self.used += 1
        return self._below.send(self._frames.asking(messages), self)

    def say(self, message: bytes) -> int:
        """Send a message that belongs to the request in progress; return the moment before its first byte left."""
        framed, at = self._frames.asking((message,)), now_ns()
        self._below.write(framed)
        return at

    # -- what the connection below calls -----------------------------------------------------------------------

    def received(self, reads: Sequence[bytes], arrivals: Arrivals) -> None:
        """Take what reads brought."""
        messages, numbers = list[bytes](), list[int]()
        for number, read in enumerate(reads, arrivals.count - len(reads) + 1):
            found = self._frames.feed(read)
            messages += found
            numbers += [number] * len(found)
        self._below.write(self._frames.outgoing())
        if not self._opened.done():
            self._open()
        if messages and self._peer is not None:
            peer = cast("MessagePeer", self._peer)
            peer.took(messages, numbers, arrivals)
            if peer.over:  # nothing else ends: the connection stays
                peer.closed("ok", "")
        if self._opened.done() and not self._frames.open:
            self._end()

    def lost(self, error: Exception | None) -> None:
        """Take the end of the connection below."""
        if not self._opened.done():
            reason = str(error) if error else "a closed connection"
            self._opened.set_exception(RemoteError("bad_websocket", "a WebSocket", reason))
        elif (peer := self._peer) is not None:
            self._peer = None
            peer.lost(error)

    def _open(self) -> None:
        if (refusal := self._frames.refusal) is not None:
            self._opened.set_exception(refusal)
        elif self._frames.open:
            self._opened.set_result(None)

    def _end(self) -> None:
        peer = cast("MessagePeer | None", self._peer)
        self.close()
        if peer is not None:
            peer.closed(*self._frames.ending)


async def upgrade(
    below: Bytes,
    url: str,
    headers: Mapping[str, str],
    protocol: type[SocketProtocol],
    within_s: float,
) -> WebSocketConnection:
    """Return a WebSocket over an open connection, its handshake done within `within_s` seconds.

    Raises RemoteError of kind `connect_timeout`, `bad_websocket`, or the HTTP status with which the server refused.
    """
    frames = WebSocketFrames(url)
    return await WebSocketConnection(below, frames, protocol).made(frames.handshake(headers), within_s)
