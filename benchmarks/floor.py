"""The floor: a client that does the least which still is a client, to hold the load generator against.

    python -m benchmarks.floor HOST PORT PATH STREAMS REQUESTS TOKENS protocol|recvmsg

protocol: a uvloop Protocol that stamps, splits events and parses each with orjson; recvmsg: a watched socket with the
kernel's stamps that counts events and parses nothing. Prints one JSON line; neither checks a status or an error.
"""

import asyncio
import json
import resource
import socket
import struct
import sys
from collections.abc import Callable, Iterator

import orjson
import uvloop

from otel_llm.clock import now_ns

_STAMPS, _READ, _END = 35, 65536, b"0\r\n\r\n"


class Client(asyncio.Protocol):
    """One stream slot on the loop's own transport."""

    def __init__(self, wires: Iterator[bytes], done: asyncio.Future[None]) -> None:
        self.wires, self.done, self.tail, self.stamps = wires, done, b"", list[int]()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.next()

    def next(self) -> None:
        wire = next(self.wires, None)
        if wire is None:
            self.transport.close()
            self.done.set_result(None)
            return
        self.tail = b""
        self.transport.write(wire)

    def data_received(self, data: bytes) -> None:
        at = now_ns()
        *events, self.tail = (self.tail + data).split(b"\n\n")
        for event in events:
            start = event.find(b"data: ")
            if start >= 0:
                if event[start + 6 :] != b"[DONE]":
                    orjson.loads(event[start + 6 :])
                self.stamps.append(at)
        if data.endswith(_END):
            self.next()


def watch(loop: asyncio.AbstractEventLoop, address: tuple[str, int], wires: Iterator[bytes], done: asyncio.Future[None],
          stamps: list[int]) -> None:  # fmt: skip
    """One stream slot on a socket of ours, with the kernel's stamps."""
    sock = socket.create_connection(address)
    sock.setsockopt(socket.SOL_SOCKET, _STAMPS, 1)
    sock.setblocking(False)
    timespec = struct.Struct("qq").unpack

    def following() -> None:
        wire = next(wires, None)
        if wire is None:
            loop.remove_reader(sock.fileno())
            sock.close()
            done.set_result(None)
        else:
            sock.send(wire)

    def readable() -> None:
        data, ancillary, _, _ = sock.recvmsg(_READ, 32)
        at = now_ns()
        if ancillary:
            seconds, nanoseconds = timespec(ancillary[0][2])
            at = seconds * 1_000_000_000 + nanoseconds
        stamps.extend([at] * data.count(b"\n\n"))
        if data.endswith(_END):
            following()

    loop.add_reader(sock.fileno(), readable)
    following()


async def run(host: str, port: int, path: str, streams: int, requests: int, tokens: int, kind: str) -> int:
    loop = asyncio.get_running_loop()
    messages = [{"role": "user", "content": "hello " * 50}]
    asked = {"model": "m", "stream": True, "max_tokens": tokens, "messages": messages}
    body = json.dumps({**asked, "stream_options": {"include_usage": True}}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    wires = iter([head.encode() + body] * requests)
    done = [loop.create_future() for _ in range(streams)]
    if kind == "recvmsg":
        stamps: list[int] = []
        for future in done:
            watch(loop, (host, port), wires, future, stamps)
        await asyncio.gather(*done)
        return len(stamps)
    make: list[Callable[[], Client]] = [lambda future=future: Client(wires, future) for future in done]  # type: ignore[misc]
    clients = [(await loop.create_connection(factory, host, port))[1] for factory in make]
    await asyncio.gather(*done)
    return sum(len(client.stamps) for client in clients)


def main() -> None:
    host, port, path, streams, requests, tokens, kind = sys.argv[1:]
    events = uvloop.run(run(host, int(port), path, int(streams), int(requests), int(tokens), kind))
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"events": events, "cpu_s": used.ru_utime + used.ru_stime}))


if __name__ == "__main__":
    main()
