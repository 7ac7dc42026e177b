"""A connection on a real socket: what arrives is stamped at once, handed on at once or together, and never lost."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from otel_llm.clock import KernelClock, now_ns
from otel_llm.load.coordinator.reckoning import moments
from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.connection import KERNEL_STAMPS, Connection, connect
from otel_llm.wire.loop import new_loop
from otel_llm.wire.target import Target

MIDDLE, END = b"data: x\n\n\r\n", b"0\r\n\r\n"
FRAME = b"a frame whose end does not tell"


class Peer:
    def __init__(self, mid_stream_tail: bytes) -> None:
        self.mid_stream_tail, self.heard, self.arrivals = mid_stream_tail, list[Sequence[bytes]](), Arrivals()
        self.gone: list[Exception | None] = []

    def in_the_middle(self, read: bytes) -> bool:
        return read == FRAME

    def received(self, reads: Sequence[bytes], arrivals: Arrivals) -> None:
        self.heard.append(list(reads))
        self.arrivals = arrivals

    def lost(self, error: Exception | None) -> None:
        self.gone.append(error)


class Talk:
    """A connection and its other end; `ripe` is where it puts itself when it holds many reads."""

    def __init__(self, connection: Connection, server: socket.socket, ripe: list[Connection]) -> None:
        self.connection, self.server, self.ripe = connection, server, ripe

    def begin(self, mid_stream_tail: bytes) -> Peer:
        peer = Peer(mid_stream_tail)
        self.connection.send(b"hello", peer)
        assert self.server.recv(100) == b"hello"
        return peer

    async def say(self, *data: bytes) -> None:
        for piece in data:
            before = self.connection.last_ns
            self.server.send(piece)
            while self.connection.last_ns == before:  # noqa: ASYNC110  # nobody tells when a read was held back
                await asyncio.sleep(0)


@asynccontextmanager
async def talking() -> AsyncIterator[Talk]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ripe: list[Connection] = []
        target = Target.parse(f"http://127.0.0.1:{listening.getsockname()[1]}/")
        connection = await connect(target, KernelClock(), None, 5, ripe)
        with listening.accept()[0] as server:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield Talk(connection, server, ripe)
            connection.close()


def run(test: Callable[[Talk], Awaitable[None]]) -> None:
    async def go() -> None:
        async with talking() as talk:
            await test(talk)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(go())


def test_a_read_in_the_middle_is_held_back_until_somebody_settles() -> None:
    async def test(talk: Talk) -> None:
        peer = talk.begin(MIDDLE[-4:])
        await talk.say(MIDDLE, MIDDLE)
        assert peer.heard == []
        talk.connection.settle()
        assert peer.heard == [[MIDDLE, MIDDLE]]
        assert peer.arrivals.count == 2
        talk.connection.settle()
        assert len(peer.heard) == 1

    run(test)


def test_what_may_be_an_end_is_handed_on_at_once_with_all_before_it() -> None:
    async def test(talk: Talk) -> None:
        peer = talk.begin(MIDDLE[-4:])
        await talk.say(MIDDLE, FRAME, END)
        assert peer.heard == [[MIDDLE, FRAME, END]]
        await talk.say(b"y" * 4000 + MIDDLE)  # long reads are not held: memory
        assert len(peer.heard) == 2

    run(test)


def test_each_read_is_handed_on_at_once_where_that_is_wanted() -> None:
    async def test(talk: Talk) -> None:
        peer = talk.begin(b"")
        await talk.say(MIDDLE, MIDDLE)
        assert peer.heard == [[MIDDLE], [MIDDLE]]

    run(test)


def test_a_connection_that_holds_many_says_so_once() -> None:
    async def test(talk: Talk) -> None:
        peer = talk.begin(MIDDLE[-4:])
        await talk.say(*[MIDDLE] * 40)
        assert talk.ripe == [talk.connection]
        talk.connection.settle()
        assert [len(reads) for reads in peer.heard] == [40]

    run(test)


def test_the_moment_is_that_of_the_arrival_not_of_the_looking() -> None:
    async def test(talk: Talk) -> None:
        peer = talk.begin(MIDDLE[-4:])
        before = now_ns()
        await talk.say(MIDDLE)
        after = now_ns()
        await asyncio.sleep(0.05)
        talk.connection.settle()
        (at,), (lag,) = moments([peer.arrivals])
        assert before - 1_000_000 < at < after
        assert (lag > 0) == KERNEL_STAMPS

    run(test)


@pytest.mark.parametrize("how", ["end", "reset"])
def test_what_was_held_back_is_heard_before_the_loss(how: str) -> None:
    async def test(talk: Talk) -> None:
        peer = talk.begin(MIDDLE[-4:])
        await talk.say(MIDDLE, MIDDLE)
        if how == "reset":
            talk.server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        talk.server.close()
        while not peer.gone:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert peer.heard == [[MIDDLE, MIDDLE]]
        assert isinstance(peer.gone[0], ConnectionResetError) == (how == "reset")
        assert not talk.connection.open

    run(test)


def test_the_reads_of_the_next_request_are_counted_from_one() -> None:
    async def test(talk: Talk) -> None:
        first = talk.begin(b"")
        await talk.say(MIDDLE, MIDDLE)
        second = talk.begin(b"")
        await talk.say(END)
        assert (first.arrivals.count, second.arrivals.count) == (2, 1)

    run(test)


def test_an_idle_connection_that_hears_something_closes() -> None:
    async def test(talk: Talk) -> None:
        talk.server.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        while talk.connection.open:  # noqa: ASYNC110
            await asyncio.sleep(0)

    run(test)
