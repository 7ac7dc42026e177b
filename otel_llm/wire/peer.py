"""What a connection hands its reads to."""

from collections.abc import Sequence
from typing import Protocol

from otel_llm.wire.arrivals import Arrivals

__all__ = ["Peer"]


class Peer(Protocol):
    """Takes what a connection receives during one request."""

    mid_stream_tail: bytes
    """The last 4 bytes of a read in the middle of a stream, after which more must come; b"" to have every read at once.

    A server that writes each event as one HTTP chunk sends b"5d\\r\\ndata: {...}\\n\\n\\r\\n" again and again: the tail
    is b"\\n\\n\\r\\n". The end of such an answer, b"0\\r\\n\\r\\n", has another one.
    """

    def received(self, reads: Sequence[bytes], arrivals: Arrivals) -> None:
        """Take the plain bytes of reads. `arrivals` has all reads of the request so far; these are the last of them."""
        ...

    def lost(self, error: Exception | None) -> None:
        """Take the loss of the connection. `error` is None when the server closed it in order."""
        ...
