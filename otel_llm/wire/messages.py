"""The contracts of protocols whose requests and answers are messages, not bodies over HTTP: by gRPC, by WebSocket."""

from collections.abc import Sequence
from typing import ClassVar

from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.peer import Peer
from otel_llm.wire.protocol import Protocol

__all__ = ["MessagePeer", "MessageProtocol", "SocketProtocol"]


class MessageProtocol(Protocol):
    """A protocol that goes by gRPC. It speaks JSON as all others do, and turns it into its own messages and back.

    So a run file, a tokenizer and a recorded case are the same for it. Its first of `paths` is the method.
    """

    carriers: ClassVar[tuple[str, ...]] = ("grpc",)

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

    @classmethod
    def unpack_request(cls, message: bytes) -> bytes:  # for a server, as the simulated one is
        """Return the body of a request's message. Raises ValueError for what is none."""
        raise NotImplementedError(f"{cls.__name__}.unpack_request")

    @classmethod
    def pack_event(cls, event: bytes, *, whole: bool = False) -> bytes:  # for a server
        """Return the message of an event; `whole`: of an answer in one piece. Raises ValueError for no JSON."""
        raise NotImplementedError(f"{cls.__name__}.pack_event")


class SocketProtocol(Protocol):
    """A protocol that goes by WebSocket, or also by it: each message that a server sends is an event.

    stops:   whether an answer can be stopped on the way, without closing the connection
    stopped: the answer has ended because `stopping` had asked for it
    """

    carriers: ClassVar[tuple[str, ...]] = ("http", "websocket")
    stops: ClassVar[bool] = False

    __slots__ = ("stopped",)

    def __init__(self) -> None:
        super().__init__()
        self.stopped = False

    @classmethod
    def messages(cls, body: bytes) -> Sequence[bytes]:
        """Return the messages that ask for what the body of a request asks for."""
        raise NotImplementedError(f"{cls.__name__}.messages")

    def stopping(self) -> bytes | None:  # for those that can
        """Return the message that asks to stop this answer, which is then expected to; None until it has begun."""
        raise NotImplementedError(f"{type(self).__name__}.stopping")


class MessagePeer(Peer):
    """Takes what comes as messages."""

    @property
    def over(self) -> bool:
        """Whether the answer's end marker or an error has come."""
        raise NotImplementedError

    def took(self, events: Sequence[bytes], reads: Sequence[int], arrivals: Arrivals) -> None:
        """Take whole events, each with the number of its read. `arrivals` has all reads of the request so far."""

    def closed(self, status: str, details: str) -> None:
        """Take the end of an answer: "ok", or what kind of failure it is."""
