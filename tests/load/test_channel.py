"""What a worker says is heard whole and in order, however far behind its coordinator is. A real socket pair."""

import asyncio
import errno
import socket
import tempfile

import pytest

from otel_llm.load.worker import channel
from otel_llm.load.worker.channel import Batch, Inbox, Message, Outbox
from otel_llm.load.worker.raw import Raw
from otel_llm.wire.repeats import Content

COUNT, SIZE = 60, 1 << 20


def batch(number: int) -> Batch:
    content = Content(around=[(b'{"t":"', b'"}')], parts=[(0, b"a\x1eb"), (-1, bytes([number]) * SIZE)])
    return Batch([Raw(number, outcome="complete", kind=[b"\1\1"], content=content)], number, 0, [])


async def talk(file: int | None) -> tuple[list[Message], int]:
    """Send to nobody who listens, then listen; return what was heard, and the most that waited in memory."""
    near, far = socket.socketpair()
    near.setblocking(False)
    outbox = await Outbox.open(far, lambda _: None, file)
    most = 0
    for number in range(COUNT):
        outbox.send(batch(number))
        assert outbox._transport is not None
        most = max(most, outbox._transport.get_write_buffer_size())
    closing = asyncio.create_task(outbox.close())
    inbox, heard, loop = Inbox(file), list[Message](), asyncio.get_running_loop()
    with near:
        while data := await loop.sock_recv(near, 1 << 20):
            heard += inbox.feed(data)
    await closing
    return heard, most


def said(heard: list[Message]) -> None:
    assert [message.sent for message in heard if isinstance(message, Batch)] == list(range(COUNT))
    assert heard == [batch(number) for number in range(COUNT)]


def test_what_waits_lies_in_a_file() -> None:
    with tempfile.TemporaryFile(buffering=0) as file:
        heard, most = asyncio.run(talk(file.fileno()))
    said(heard)
    assert most < 8 * SIZE


def test_without_a_file_it_waits_in_memory() -> None:
    heard, most = asyncio.run(talk(None))
    said(heard)
    assert most > (COUNT - 5) * SIZE


def test_a_full_disk_costs_memory_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    with tempfile.TemporaryFile(buffering=0) as file:
        monkeypatch.setattr(channel.os, "pwrite", full)
        heard, most = asyncio.run(talk(file.fileno()))
    said(heard)
    assert most > (COUNT - 5) * SIZE
