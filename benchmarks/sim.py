"""What the simulated server costs per chunk, and how late its writes are.

    python -m benchmarks.sim            100 and 400 streams, a chunk each 10 ms, and as fast as can be

The client counts chunks and does nothing else, in a process of its own. Costs are CPU seconds of the server's process,
which other load on the machine hardly moves; lateness is what it is on this machine at this moment.
"""

import argparse
import asyncio
import sys
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import numpy as np
import orjson

from otel_llm.sim import Behaviour, SimProcess
from otel_llm.wire.loop import new_loop


class _Counter(asyncio.Protocol):
    """Asks the same `requests` times and counts the ends of answers."""

    def __init__(self, request: bytes, requests: int, over: asyncio.Event) -> None:
        self._request, self._left, self._over = request, requests, over

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"0\r\n\r\n"):
            self._left -= 1
            if self._left:
                self._transport.write(self._request)
            else:
                self._over.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._over.set()


async def _client(port: int, streams: int, requests: int, tokens: int, spread_s: float) -> None:
    loop = asyncio.get_running_loop()
    body = orjson.dumps({"model": "sim", "stream": True, "max_tokens": tokens, "messages": []})
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: sim\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    overs = []
    for _ in range(streams):
        overs.append(over := asyncio.Event())
        await loop.create_connection(partial(_Counter, request, requests, over), "127.0.0.1", port)
        await asyncio.sleep(spread_s / streams)
    await asyncio.gather(*(over.wait() for over in overs))


def _ask(port: int, streams: int, requests: int, tokens: int, spread_s: float) -> None:
    new_loop().run_until_complete(_client(port, streams, requests, tokens, spread_s))


def _waited_s(pid: int | None) -> float:
    """Return how long a process was ready to run and had no core, in s; 0 where the system does not say."""
    path = Path(f"/proc/{pid}/schedstat")
    return int(path.read_text().split()[1]) / 1e9 if path.exists() else 0.0


def measure(streams: int, gap_ms: float, requests: int, tokens: int) -> str:
    """Return one line: chunks, cost and lateness with `streams` streams at a time."""
    with SimProcess(Behaviour(ttft_ms=gap_ms, itl_ms=gap_ms), log=True) as sim:
        before = sim.reset()
        port = int(sim.url.rsplit(":", 1)[1])
        client = get_context("spawn").Process(target=_ask, args=(port, streams, requests, tokens, 0.5))
        client.start()
        client.join()
        after = sim.stats()
        waited = _waited_s(sim.pid)
        rows = sim.log()
    seconds = (max(row["end"] for row in rows) - min(row["recv"] for row in rows)) / 1e9
    late = np.concatenate([np.array(row["w"])[:, 0] - row["due"] for row in rows]) / 1e3
    took = np.concatenate([np.array(row["w"])[:, 1] - np.array(row["w"])[:, 0] for row in rows]) / 1e3
    cpu, chunks = after["cpu_s"] - before["cpu_s"], after["writes"]
    kernel = after["cpu_system_s"] - before["cpu_system_s"]
    line = f"{streams:4} streams x {gap_ms:2g} ms: {chunks / seconds:8,.0f} chunks/s"
    line += f", {cpu / chunks * 1e6:5.2f} us CPU per chunk ({kernel / chunks * 1e6:.2f} in the kernel)"
    line += f", {cpu / seconds:4.2f} core; the write itself p50 {np.median(took):.1f} us"
    if gap_ms:
        line += "; late p50 {:.0f} p90 {:.0f} p99 {:.0f} max {:.0f} us".format(*np.percentile(late, (50, 90, 99, 100)))
        line += f"; without a core {waited:.2f} s of {seconds:.2f}"
    return line


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=4, help="per stream (%(default)s)")
    parser.add_argument("--tokens", type=int, default=128, help="per request (%(default)s)")
    args = parser.parse_args()
    for streams, gap_ms in ((100, 10.0), (400, 10.0), (64, 0.0)):
        print(measure(streams, gap_ms, args.requests, args.tokens), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
