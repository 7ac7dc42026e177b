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
ROUNDS = 200
BUDGET_NS = 500


def bare(n: int) -> Iterator[str]:
    for _ in range(n):
        yield "a"


async def bare_async(n: int) -> AsyncIterator[str]:
    for _ in range(n):
        yield "a"


def drive(make: Callable[[int], Iterator[str]]) -> float:
    """Return nanoseconds of CPU per chunk of one stream read to its end."""
    stream = make(CHUNKS)
    start = time.thread_time_ns()
    for _ in stream:
        pass
    return (time.thread_time_ns() - start) / CHUNKS


def drive_async(make: Callable[[int], AsyncIterator[str]]) -> float:
    async def read() -> float:
        stream = make(CHUNKS)
        start = time.thread_time_ns()
        async for _ in stream:
            pass
        return (time.thread_time_ns() - start) / CHUNKS

    return asyncio.run(read())


def compare(drive: Callable[[Any], float], plain: Any) -> dict[str, float]:
    """Return nanoseconds per chunk: bare, decorated, and what was added."""
    decorated = otel_llm.metrics(plain)
    rounds = [(drive(plain), drive(decorated)) for _ in range(ROUNDS)]
    least, most = min(one for one, _ in rounds), min(other for _, other in rounds)
    return {"bare_ns": round(least, 1), "decorated_ns": round(most, 1), "added_ns": round(most - least, 1)}


def main() -> int:
    result = {"sync": compare(drive, bare), "async": compare(drive_async, bare_async), "budget_ns": BUDGET_NS}
    print(json.dumps({"benchmark": "decorator", **result}))
    return int(any(result[kind]["added_ns"] > BUDGET_NS for kind in ("sync", "async")))  # type: ignore[index]


if __name__ == "__main__":
    sys.exit(main())
