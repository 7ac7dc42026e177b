"""The contract of a protocol whose requests and answers are messages over gRPC, not bodies over HTTP."""

from typing import ClassVar

from otel_llm.wire.peer import Peer
from otel_llm.wire.protocol import Protocol

__all__ = ["MessagePeer", "MessageProtocol"]


class MessageProtocol(Protocol):
    """A protocol that speaks JSON as all others do, and turns it into the messages of its own and back.

    So a run file, a tokenizer and a recorded case are the same for it. Its first of `paths` is the method.
    """

    streams: ClassVar[bool] = True

    __slots__ = ()

    @classmethod
    def prepare(cls) -> None:
        """Load what `pack` and `unpack` need: called before a connection is opened, while no request waits to leave."""

    @classmethod
    def pack(cls, body: bytes) -> bytes:
        """Return the message of a request's body. Raises ValueError for one that has none."""
        raise NotImplementedError(f"{cls.__name__}.pack")

    @classmethod
    def unpack(cls, message: bytes) -> bytes:
        """Return a message of the answer as an event. Raises ValueError for what is none."""
        raise NotImplementedError(f"{cls.__name__}.unpack")


class MessagePeer(Peer):
    """Takes what a call receives: `received` gets whole events, one a read."""

    def closed(self, status: str, details: str) -> None:
        """Take the end of the call: "ok", or what its status is called in lower case."""
