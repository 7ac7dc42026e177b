"""What a worker process and the coordinator say to each other, over a socket pair.

Messages are MessagePack behind a length of four bytes. A worker never waits for the coordinator: what cannot be sent
at once is kept by its transport, off the path of the packets.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator

import msgspec

from otel_llm.load.exchange import SEPARATOR
from otel_llm.record import StreamRecord, pack, unpack

__all__ = ["DRAIN", "GO", "STOP", "Batch", "Ended", "Finished", "Inbox", "Message", "Outbox", "Ready"]

GO, DRAIN, STOP = b"g", b"d", b"s"
"""What the coordinator says: go (with the start, int64 ns), begin nothing more, stop. A worker needs no parser."""

_length = struct.Struct("!I")


class Finished(msgspec.Struct, array_like=True):
    """A request that ended, and the data of the events of its answer, separated, where content is kept."""

    record: StreamRecord
    content: bytes | None

    @property
    def events(self) -> list[bytes] | None:
        """The data of each event, in order; None where content is not kept."""
        return None if self.content is None else self.content.split(SEPARATOR)[:-1]


class Ready(msgspec.Struct, tag="ready"):
    """The worker can begin. `error` is (kind, message) when not one connection could be opened."""

    connections: int
    error: tuple[str, str] | None = None


class Batch(msgspec.Struct, tag="batch"):
    """What has happened since the last one."""

    finished: list[Finished]
    sent: int
    in_flight: int
    loop_lag_ns: list[int]


class Ended(msgspec.Struct, tag="ended"):
    """The last word of a worker."""

    cpu_ns: int
    waited_ns: int
    clock: str
    clock_steps: int


Message = Ready | Batch | Ended

_encode = msgspec.msgpack.Encoder(enc_hook=pack).encode
_decode = msgspec.msgpack.Decoder(Message, dec_hook=unpack).decode


class Outbox(asyncio.Protocol):
    """The worker's end."""

    def __init__(self, on_word: Callable[[bytes], object]) -> None:
        self._on_word = on_word
        self._transport: asyncio.WriteTransport | None = None
        self._gone = asyncio.Event()

    @classmethod
    async def open(cls, sock: socket.socket, on_word: Callable[[bytes], object]) -> "Outbox":
        """Return the outbox on a connected socket; `on_word` gets what the coordinator says, b"" when it is gone."""
        _, outbox = await asyncio.get_running_loop().create_connection(lambda: cls(on_word), sock=sock)
        return outbox

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream transport writes

    def data_received(self, data: bytes) -> None:
        self._on_word(data)

    def connection_lost(self, _: Exception | None) -> None:
        self._gone.set()
        self._on_word(b"")

    def send(self, message: Message) -> None:
        """Send without waiting; to nobody when the coordinator is gone."""
        if self._transport is not None and not self._transport.is_closing():
            blob = _encode(message)
            self._transport.write(_length.pack(len(blob)) + blob)

    async def close(self) -> None:
        """Return when everything has been handed to the coordinator, or it is gone."""
        if self._transport is not None:
            self._transport.close()
            await self._gone.wait()


class Inbox:
    """The coordinator's end: feed it what was read, iterate over what that completed."""

    def __init__(self) -> None:
        self._tail = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield each message that is complete."""
        self._tail += data
        start = 0
        while len(self._tail) - start >= 4:
            (length,) = _length.unpack_from(self._tail, start)
            if len(self._tail) - start - 4 < length:
                break
            yield _decode(memoryview(self._tail)[start + 4 : start + 4 + length].tobytes())
            start += 4 + length
        del self._tail[:start]
