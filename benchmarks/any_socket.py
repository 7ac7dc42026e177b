"""Answers by WebSocket as no server should send them, for `benchmarks.any_answer`: frames cut, mixed or too large.

A message comes in one frame or some, with control frames between; some are masked, of no known kind, without an end, or
say to be larger than they are. A connection ends with a close frame of any code, or without one.
"""

import asyncio
from collections.abc import Sequence
from random import Random
from struct import pack
from typing import Final, cast

from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.worker.message_exchange import SocketExchange
from otel_llm.load.worker.raw import Raw
from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.connection import note_reads
from otel_llm.wire.messages import SocketProtocol
from otel_llm.wire.peer import Peer
from otel_llm.wire.repeats import Content
from otel_llm.wire.websocket import WebSocketConnection
from otel_llm.wire.websocket_frames import MOST, WebSocketFrames

__all__ = ["exchanged_by_socket", "frames_of"]

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CODES: Final = (1000, 1001, 1002, 1003, 1005, 1006, 1008, 1009, 1011, 1013, 3000, 4999, 0, 999, 2999, 65535)
SIZES: Final = (MOST + 1, 1 << 32, (1 << 63) - 1, 1 << 63)


def frame(opcode: int, payload: bytes, *, fin: bool = True, masked: bool = False, claimed: int | None = None) -> bytes:
    """Return a frame. claimed: the size that it says to have; None for its own"""
    size, mask = len(payload) if claimed is None else claimed, 128 * masked
    if size < 126:
        head = pack(">BB", fin << 7 | opcode, mask | size)
    elif size < 1 << 16:
        head = pack(">BBH", fin << 7 | opcode, mask | 126, size)
    else:
        head = pack(">BBQ", fin << 7 | opcode, mask | 127, size)
    return head + (bytes(4) if masked else b"") + payload


def message(random: Random, event: bytes) -> bytes:
    """Return the frames of a message, which is nearly always whole."""
    cuts = sorted(random.randrange(len(event) + 1) for _ in range(random.choice((0, 0, 0, 1, 3))))
    pieces = [event[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(event)], strict=True)]
    framed = []
    for number, piece in enumerate(pieces):
        opcode = random.choice((TEXT,) * 20 + (BINARY, CONT)) if number == 0 else random.choice((CONT,) * 20 + (TEXT,))
        fin = number == len(pieces) - 1 and random.random() > 0.01
        framed.append(frame(opcode, piece, fin=fin, masked=random.random() < 0.005))
        if random.random() < 0.05:
            framed.append(frame(random.choice((PING, PONG)), b"x" * random.choice((0, 4, 125))))
    return b"".join(framed)


def ending(random: Random) -> bytes:
    """Return what comes behind the last message: a close frame of any kind, a frame that is none, or nothing."""
    code, reason = pack(">H", random.choice(CODES)), random.choice((b"", b"bye", b"\xff\xfe", b"x" * 123, b"x" * 124))
    return random.choice(
        (
            b"",
            b"",
            frame(CLOSE, code + reason),
            frame(CLOSE, code + reason) + message(random, b"{}"),
            frame(CLOSE, b""),
            frame(CLOSE, b"\x03"),
            frame(CLOSE, code, fin=False),
            frame(random.choice((3, 7, 11, 15)), b"x"),
            frame(random.choice((TEXT, BINARY, PING)), b"x", claimed=random.choice(SIZES)),
        )
    )


def frames_of(random: Random, events: Sequence[bytes]) -> bytes:
    """Return all bytes of an answer, and of the end of its connection."""
    wire = b"".join(message(random, event) for event in events) + ending(random)
    if random.random() < 0.05 and wire:
        at = random.randrange(len(wire))
        wire = wire[:at] + bytes((random.randrange(256),)) + wire[at + random.randrange(3) :]
    return wire[: random.randrange(len(wire) + 1)] if random.random() < 0.1 else wire


class Below:
    """The connection below a WebSocket, whose other side nobody hears."""

    open = True
    connect_ns = last_ns = 0

    def send(self, wire: bytes, peer: Peer) -> int:
        return 1_000

    def write(self, wire: bytes) -> None: ...

    def begin_anew(self) -> None: ...

    def settle(self) -> None: ...

    def look(self) -> None: ...

    def close(self) -> None:
        self.open = False


def exchanged_by_socket(random: Random, plan: LoadPlan, index: int, reads: Sequence[bytes]) -> Raw:
    """Return what a worker notes of an answer."""
    return asyncio.run(_exchanged(random, plan, index, reads))


async def _exchanged(random: Random, plan: LoadPlan, index: int, reads: Sequence[bytes]) -> Raw:
    raw, done = Raw(index, sent_ns=1_000, content=Content() if random.random() < 0.7 else None), list[int]()
    exchange = SocketExchange(
        raw, plan.protocol(), lambda: done.append(1), finish_reason=plan.finish_reason, kept=random.random() < 0.5
    )
    below, arrivals, at = Below(), Arrivals(), 1_000
    protocol = cast("type[SocketProtocol]", plan.protocol)
    connection = WebSocketConnection(below, WebSocketFrames("ws://h/", opened=True), protocol)
    connection.received((), arrivals)  # the handshake was made before
    connection.send(b"POST / HTTP/1.1\r\n\r\n{}", exchange)
    for read in reads:
        if not below.open:
            break
        at += random.choice((0, 1, 10_000_000))
        note_reads(arrivals, (at,))
        connection.received([read], arrivals)
    if below.open:
        connection.lost(random.choice((None, ConnectionResetError("reset"))))
    exchange.cancel()
    assert done == [1], f"ended {len(done)} times"
    return raw
