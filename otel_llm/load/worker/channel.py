"""The messages between a worker process and the coordinator, over a socket pair.

Messages are MessagePack behind a length of four bytes. A worker never waits for the coordinator: what cannot be sent
at once is kept by its transport, off the path of the packets; beyond a few megabytes it goes into a file that both have
open.
"""

import asyncio
import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from otel_llm.load.worker.raw import Raw

__all__ = ["DRAIN", "GO", "INTERRUPTS", "STOP", "Batch", "Inbox", "LastWord", "Message", "Outbox", "Ready"]

GO, DRAIN, STOP = b"g", b"d", b"s"
"""What the coordinator says: go (with the start, int64 ns), begin nothing more, stop. A worker needs no parser."""

INTERRUPTS: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that ask a run to end. They may reach every process: workers ignore them and hear of it from here."""

_length = struct.Struct("!I")
_WAITING = 4 << 20


class Ready(msgspec.Struct, tag="ready"):
    """The worker can begin. `error` is (kind, message) when not one connection could be opened."""

    connections: int
    error: tuple[str, str] | None = None


class Batch(msgspec.Struct, tag="batch"):
    """What has happened since the batch before."""

    ended: list[Raw]
    sent: int
    in_flight: int
    loop_lag_ns: list[int]


class LastWord(msgspec.Struct, tag="ended"):
    """The last message of a worker."""

    cpu_ns: int
    waited_ns: int
    clock: str
    clock_steps: int


Message = Ready | Batch | LastWord


class _Put(msgspec.Struct, tag="put"):
    """A message that was put into the file, to be read there when its turn has come."""

    start: int
    size: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message | _Put).decode


class Outbox(asyncio.Protocol):
    """The worker's end. `file` is a descriptor that the other end reads; without one, messages wait in memory."""

    def __init__(self, on_word: Callable[[bytes], object], file: int | None = None) -> None:
        self._on_word, self._file, self._put_bytes = on_word, file, 0
        self._transport: asyncio.WriteTransport | None = None
        self._gone = asyncio.Event()

    @classmethod
    async def open(cls, sock: socket.socket, on_word: Callable[[bytes], object], file: int | None = None) -> "Outbox":
        """Return the outbox of a connected socket. `on_word` gets what the coordinator says, b"" when it is gone."""
        _, outbox = await asyncio.get_running_loop().create_connection(lambda: cls(on_word, file), sock=sock)
        return outbox

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream transport writes

    def data_received(self, data: bytes) -> None:
        self._on_word(data)

    def connection_lost(self, _: Exception | None) -> None:
        self._gone.set()
        self._on_word(b"")

    def send(self, message: Message) -> None:
        """Send without waiting. A message to a coordinator that is gone is dropped."""
        if self._transport is not None and not self._transport.is_closing():
            blob = _encode(message)
            if self._transport.get_write_buffer_size() > _WAITING:
                blob = self._put(blob)
            self._transport.write(_length.pack(len(blob)) + blob)

    def _put(self, blob: bytes) -> bytes:
        """Put a message into the file and return a reference; return the message itself where there is no room."""
        try:
            if self._file is None or os.pwrite(self._file, blob, self._put_bytes) < len(blob):
                return blob
        except OSError:
            return blob
        start, self._put_bytes = self._put_bytes, self._put_bytes + len(blob)
        return _encode(_Put(start, len(blob)))

    async def close(self) -> None:
        """Return when everything has been handed to the coordinator, or it is gone."""
        if self._transport is not None:
            self._transport.close()
            await self._gone.wait()


class Inbox:
    """The coordinator's end: takes the bytes that were read, yields messages. `file` is the one of the outbox."""

    def __init__(self, file: int | None = None) -> None:
        self._tail = bytearray()
        self._file = file

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield each message that these bytes complete."""
        self._tail += data
        start = 0
        while len(self._tail) - start >= 4:
            (length,) = _length.unpack_from(self._tail, start)
            if len(self._tail) - start - 4 < length:
                break
            message = _decode(memoryview(self._tail)[start + 4 : start + 4 + length].tobytes())
            if isinstance(message, _Put):
                assert self._file is not None  # noqa: S101  # the outbox has put it there
                message = _decode(os.pread(self._file, message.size, message.start))
            yield message
            start += 4 + length
        del self._tail[:start]
