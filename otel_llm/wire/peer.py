"""What lies over a connection: the peer that takes its reads, which may itself be a connection, as a WebSocket is."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar, Generic, Protocol, Self, TypeVar

from otel_llm.clock import now_ns
from otel_llm.errors import RemoteError
from otel_llm.wire.arrivals import Arrivals

__all__ = ["Bytes", "Layer", "Peer"]


class Peer(Protocol):
    """Takes what a connection receives during one request."""

    mid_stream_tail: bytes
    """The last 4 bytes of a read in the middle of a stream, after which more must come; b"" to have every read at once.

    A server that writes each event as one HTTP chunk sends b"5d\\r\\ndata: {...}\\n\\n\\r\\n" again and again: the tail
    is b"\\n\\n\\r\\n". The end of such an answer, b"0\\r\\n\\r\\n", has another one.
    """

    def in_the_middle(self, read: bytes) -> bool:
        """Return whether more must come behind this read, where its tail does not tell."""
        ...

    def received(self, reads: Sequence[bytes], arrivals: Arrivals) -> None:
        """Take the plain bytes of reads. `arrivals` has all reads of the request so far; these are the last of them."""
        ...

    def lost(self, error: Exception | None) -> None:
        """Take the loss of the connection. `error` is None when the server closed it in order."""
        ...


class Bytes(Protocol):
    """The connection below another: one of `otel_llm.wire.connection` or `otel_llm.wire.stream`."""

    open: bool
    connect_ns: int
    last_ns: int

    def send(self, wire: bytes, peer: Peer) -> int: ...

    def write(self, wire: bytes) -> None: ...

    def begin_anew(self) -> None: ...

    def settle(self) -> None: ...

    def look(self) -> None: ...

    def close(self) -> None: ...


class Frames(Protocol):
    """The client's end of what is framed, without a socket."""

    @property
    def open(self) -> bool: ...

    def closing(self) -> bytes: ...


FramesT = TypeVar("FramesT", bound=Frames)


class Layer(Generic[FramesT]):
    """A connection that lies over another, which frames what it sends: all that does not depend on the frames.

    what: is opened, for a message
    """

    mid_stream_tail = b""  # the end of a frame does not show whether it is the last
    what: ClassVar[str]

    def __init__(self, below: Bytes, frames: FramesT) -> None:
        self._below, self._frames = below, frames
        self._peer: Peer | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.connect_ns = 0
        self.idle_since_ns = now_ns()
        self.used = 0

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
        self._let_go()
        self._below.begin_anew()  # what comes from now on belongs to no answer

    def _let_go(self) -> None:
        """Do what is to be done where an answer is no longer waited for."""

    def settle(self) -> None:
        """Hand on the reads that are held back."""
        self._below.settle()

    def look(self) -> None:
        """Read what the loop may not have told of."""
        self._below.look()

    def close(self) -> None:
        """Give up what is under way, say goodbye and close, without waiting. The peer is not told."""
        self._peer = None
        if self._below.open:
            self._below.write(self._frames.closing())
        self._below.close()

    async def made(self, greeting: bytes, within_s: float) -> Self:
        """Return it once the server has greeted back, within `within_s` seconds; close all where that fails.

        Raises RemoteError of kind `connect_timeout`, and what `received` found.
        """
        try:
            async with asyncio.timeout(within_s):
                self._below.send(greeting, self)
                await self._opened
        except BaseException as error:
            self._below.close()
            if isinstance(error, TimeoutError):
                raise RemoteError("connect_timeout", f"{self.what} within {within_s:g} s") from None
            raise
        self.connect_ns = self._below.connect_ns + now_ns() - self.idle_since_ns
        return self

    # -- what the connection below calls -----------------------------------------------------------------------

    def in_the_middle(self, _read: bytes) -> bool:
        """Return whether more must come behind this read."""
        return False

    def received(self, reads: Sequence[bytes], arrivals: Arrivals) -> None:
        """Take what reads brought."""
        raise NotImplementedError(f"{type(self).__name__}.received")

    def lost(self, error: Exception | None) -> None:
        """Take the end of the connection below."""
        raise NotImplementedError(f"{type(self).__name__}.lost")
