"""What a connection hands its reads to, and what a connection is to one that lies over it."""

from collections.abc import Sequence
from typing import Protocol

from otel_llm.wire.arrivals import Arrivals

__all__ = ["Bytes", "Peer"]


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
