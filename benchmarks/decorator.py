"""What a decorated stream costs per chunk above the bare one: CPU time, sync and async, both in the same run.

    python -m benchmarks.decorator            # one JSON line; the budget is 0.5 µs a chunk

Bare and decorated streams take turns, and of every pair of measurements the least disturbed counts: what other
processes do to a shared machine only ever adds.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import otel_llm

CHUNKS = 2_000
ROUNDS = 150
BUDGET_NS = 500


def bare(n: int) -> Iterator[str]:
    for _ in range(n):
        yield "a"


async def bare_async(n: int) -> AsyncIterator[str]:
    for _ in range(n):
        yield "a"


def drive(make: Callable[[int], Iterator[str]]) -> tuple[float, float]:
    """Return nanoseconds of CPU: per chunk while it streams, and of the end of the stream."""
    stream = make(CHUNKS)
    start = last = time.thread_time_ns()
    for i, _ in enumerate(stream, 1):
        if i == CHUNKS:
            last = time.thread_time_ns()
    return (last - start) / CHUNKS, time.thread_time_ns() - last


def drive_async(make: Callable[[int], AsyncIterator[str]]) -> tuple[float, float]:
    async def read() -> tuple[float, float]:
        stream, i = make(CHUNKS), 0
        start = last = time.thread_time_ns()
        async for _ in stream:
            i += 1
            if i == CHUNKS:
                last = time.thread_time_ns()
        return (last - start) / CHUNKS, time.thread_time_ns() - last

    return asyncio.run(read())


def compare(drive: Callable[[Any], tuple[float, float]], plain: Any) -> dict[str, float]:
    """Return nanoseconds per chunk, bare and decorated, and what the decorator adds; and microseconds per call."""
    decorated = otel_llm.metrics(plain)
    rounds = [(*drive(plain), *drive(decorated)) for _ in range(ROUNDS)]
    bare_ns, _, decorated_ns, end_ns = (min(column) for column in zip(*rounds, strict=True))
    return {
        "bare_ns": round(bare_ns, 1),
        "decorated_ns": round(decorated_ns, 1),
        "added_ns": round(decorated_ns - bare_ns, 1),
        f"end_of_{CHUNKS}_chunks_us": round(end_ns / 1000, 1),
    }


def main() -> int:
    result = {"sync": compare(drive, bare), "async": compare(drive_async, bare_async)}
    print(json.dumps({"benchmark": "decorator", **result, "budget_ns": BUDGET_NS}))
    return int(any(measured["added_ns"] > BUDGET_NS for measured in result.values()))


if __name__ == "__main__":
    sys.exit(main())
