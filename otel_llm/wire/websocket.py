"""A WebSocket in the place of a connection: each request is a message or some, each message of its answer an event.

The bytes come by a connection of `otel_llm.wire.connection`, with its stamps: a message has the time of the read that
completed it, so the lag of a read is what it is by HTTP. Only the frames are the websockets package's.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import cast

from otel_llm.clock import now_ns
from otel_llm.errors import RemoteError
from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.messages import MessagePeer, SocketProtocol
from otel_llm.wire.peer import Bytes, Peer
from otel_llm.wire.websocket_frames import WebSocketFrames

__all__ = ["WebSocketConnection", "upgrade"]


class WebSocketConnection:
    """One open WebSocket, with the members of `otel_llm.wire.connection.Connection`; itself the peer of one."""

    mid_stream_tail = b""  # every read at once: a frame does not show by its end whether it is the last

    def __init__(self, below: Bytes, frames: WebSocketFrames, protocol: type[SocketProtocol]) -> None:
        self._below, self._frames, self._protocol = below, frames, protocol
        self._peer: MessagePeer | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.connect_ns = 0
        self.idle_since_ns = now_ns()
        self.used = 0

    # -- what the worker calls ---------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        return self._below.open and self._frames.open

    @property
    def last_ns(self) -> int:
        return self._below.last_ns

    @property
    def peer(self) -> Peer | None:
        return self._peer

    @peer.setter
    def peer(self, peer: None) -> None:
        self._peer = peer
        self._below.begin_anew()  # what comes from now on belongs to no answer

    def send(self, wire: bytes, peer: Peer) -> int:
        """Send a request, in the form that HTTP gives it, for `peer`; return the moment before its first byte left."""
        messages = self._protocol.messages(wire.partition(b"\r\n\r\n")[2])
        self._peer = cast("MessagePeer", peer)
        self.used += 1
        return self._below.send(self._frames.asking(messages), self)

    def settle(self) -> None:
        """Hand on the reads that are held back."""
        self._below.settle()

    def look(self) -> None:
        """Read what the loop may not have told of."""
        self._below.look()

    def close(self) -> None:
        """Say goodbye and close, without waiting for the other side. The peer is not told."""
        self._peer = None
        if self._below.open:
            self._below.write(self._frames.closing())
        self._below.close()

    # -- what the connection below calls -----------------------------------------------------------------------

    def in_the_middle(self, _read: bytes) -> bool:
        return False

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
        if messages and (peer := self._peer) is not None:
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
        peer = self._peer
        self.close()
        if peer is not None:
            peer.closed(*self._frames.ending)

    async def make(self, headers: Mapping[str, str]) -> None:
        """Make the handshake. Raises RemoteError where the server refuses."""
        self._below.send(self._frames.handshake(headers), self)
        await self._opened
        self.connect_ns = self._below.connect_ns + now_ns() - self.idle_since_ns


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
    connection = WebSocketConnection(below, WebSocketFrames(url), protocol)
    try:
        async with asyncio.timeout(within_s):
            await connection.make(headers)
    except BaseException as error:
        below.close()
        if isinstance(error, TimeoutError):
            raise RemoteError("connect_timeout", f"a WebSocket within {within_s:g} s") from None
        raise
    return connection
