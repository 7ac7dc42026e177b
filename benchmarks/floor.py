"""The floor: a client that does the least which still is a client, to hold the load generator against.

    python -m benchmarks.floor HOST PORT PATH STREAMS REQUESTS TOKENS RAMP protocol|recvmsg [CA]

protocol: a uvloop Protocol that stamps, splits events and parses each with orjson; recvmsg: a watched socket with the
kernel's stamps that counts events and parses nothing. With a file of authorities, the first speaks TLS by the loop's
own transports. Neither checks a status or an error. All connections are opened first; then streams begin one after the
other, over RAMP seconds: those that go in step share turns of the loop, which is cheaper.

Prints one JSON line: events, CPU seconds from when every connection was open (and the whole process's), and for
`protocol` the times to the first token and between tokens, in seconds.
"""

import asyncio
import json
import resource
import socket
import ssl
import struct
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import orjson
import uvloop

from otel_llm.clock import now_ns

_STAMPS, _READ, _END = 35, 65536, b"0\r\n\r\n"


class Client(asyncio.Protocol):
    """One stream slot on the loop's own transport."""

    def __init__(self, wires: Iterator[bytes], done: asyncio.Future[None]) -> None:
        self.wires, self.done, self.tail, self.stamps = wires, done, b"", list[int]()
        self.sent, self.began = list[int](), list[int]()  # of each request: when it left, and its first stamp's place

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def next(self) -> None:
        wire = next(self.wires, None)
        if wire is None:
            self.transport.close()
            self.done.set_result(None)
            return
        self.tail = b""
        self.began.append(len(self.stamps))
        self.sent.append(now_ns())
        self.transport.write(wire)

    def times(self, tokens: int) -> Iterator[tuple[float, list[float]]]:
        """Yield (time to the first token, gaps) of each request, in seconds: the event before them has the role."""
        for sent, start in zip(self.sent, self.began, strict=True):
            at = self.stamps[start + 1 : start + 1 + tokens]
            yield (at[0] - sent) / 1e9, (np.diff(at) / 1e9).tolist()

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
          stamps: list[int]) -> Callable[[], None]:  # fmt: skip
    """One stream slot on a socket of ours, with the kernel's stamps; return what starts it."""
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
    return following


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def begin(starts: Sequence[Callable[[], None]], ramp_s: float) -> None:
    for start in starts:
        start()
        if ramp_s:
            await asyncio.sleep(ramp_s / len(starts))


async def run(
    host: str, port: int, path: str, streams: int, requests: int, tokens: int, ramp_s: float, kind: str, ca: str
) -> object:
    """Return what is printed."""
    loop = asyncio.get_running_loop()
    messages = [{"role": "user", "content": "hello " * 50}]
    asked = {"model": "m", "stream": True, "max_tokens": tokens, "messages": messages}
    body = json.dumps({**asked, "stream_options": {"include_usage": True}}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    wires = iter([head.encode() + body] * requests)
    done = [loop.create_future() for _ in range(streams)]
    if kind == "recvmsg":
        stamps: list[int] = []
        starts = [watch(loop, (host, port), wires, future, stamps) for future in done]
        opened = cpu()
        await begin(starts, ramp_s)
        await asyncio.gather(*done)
        return {"events": len(stamps), "cpu_s": cpu() - opened, "whole_cpu_s": cpu()}
    make: list[Callable[[], Client]] = [lambda future=future: Client(wires, future) for future in done]  # type: ignore[misc]
    context = ssl.create_default_context(cafile=ca) if ca else None
    clients = [(await loop.create_connection(factory, host, port, ssl=context))[1] for factory in make]
    opened = cpu()
    await begin([client.next for client in clients], ramp_s)
    await asyncio.gather(*done)
    used, whole = cpu() - opened, cpu()
    first, gaps = zip(*(times for client in clients for times in client.times(tokens)), strict=True)
    between = np.concatenate(gaps)
    return {
        "events": sum(len(client.stamps) for client in clients),
        "cpu_s": used,
        "whole_cpu_s": whole,
        "ttft_mean": float(np.mean(first)),
        "ttft_p99": float(np.percentile(first, 99)),
        "itl_p50": float(np.percentile(between, 50)),
        "itl_p99": float(np.percentile(between, 99)),
    }


def main() -> None:
    host, port, path, streams, requests, tokens, ramp, kind, *ca = sys.argv[1:]
    place = (host, int(port), path, int(streams), int(requests), int(tokens), float(ramp), kind)
    print(json.dumps(uvloop.run(run(*place, ca[0] if ca else ""))))


if __name__ == "__main__":
    main()
