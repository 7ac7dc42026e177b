"""What a library adds per chunk and per call, in CPU time: a bare stream and an instrumented one, read in turn.

Both are of the same client in the same process: the functions that the library replaced are put in before one of them
is asked for and taken out before the other. Then some chunks are read of the one and as many of the other, and so on to
their ends. What else a shared machine does in that millisecond hits both alike, so the differences hold where the
times themselves swing by half. For each line of standard input a round is measured, and told in one line of JSON.

- `client`: the whole way of a chunk through the client, which parses it
- `parsed`: the client hands on chunks that were parsed before, so that its own work does not hide what is added
"""

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any

from openai import AsyncStream, Stream

from benchmarks.instrumentation.probe import streams
from benchmarks.instrumentation.probe.libraries import switch_on
from benchmarks.instrumentation.probe.points import Functions
from benchmarks.instrumentation.probe.seen import Seen

BLOCK = 10
SMALL, LARGE = 10 * BLOCK, 60 * BLOCK
TURNS = 4

Times = dict[str, list[tuple[int, int]]]
"""CPU time in ns, bare and instrumented, of: `start`, the call itself; `block`s of chunks; `end`, after the last."""
_now = time.thread_time_ns


class Streaming:
    """Streams of so many chunks, read to their end, two at a time."""

    def __init__(self, chunks: int, functions: tuple[Functions, Functions]) -> None:
        self._sync, self._async = streams.client(chunks - 3), streams.async_client(chunks - 3)
        self.chunks = list(self._sync.chat.completions.create(**streams.ASKED))
        self._blocks, self._functions, self._turn = chunks // BLOCK, functions, 0
        self._loop = asyncio.Runner()

    def close(self) -> None:
        """End what is asynchronous in an orderly way."""
        self._loop.close()

    def _order(self) -> tuple[int, int]:
        self._turn += 1
        return (0, 1) if self._turn % 2 else (1, 0)

    def sync(self, times: Times) -> None:
        """Time a pair of streams."""
        open_: list[Any] = [None, None]

        def ask(which: int) -> None:
            open_[which] = iter(self._sync.chat.completions.create(**streams.ASKED))

        def read(which: int) -> None:
            for _ in islice(open_[which], BLOCK):
                pass

        def end(which: int) -> None:
            for _ in open_[which]:
                pass

        for part, step in self._steps(ask, read, end):
            took = [0, 0]
            for which in self._order():
                self._functions[which].put()
                before = _now()
                step(which)
                took[which] = _now() - before
            times[part].append((took[0], took[1]))

    def asynchronous(self, times: Times) -> None:
        """Time a pair of asynchronous streams."""
        self._loop.run(self._read(times))

    async def _read(self, times: Times) -> None:
        open_: list[Any] = [None, None]

        async def ask(which: int) -> None:
            open_[which] = aiter(await self._async.chat.completions.create(**streams.ASKED))

        async def read(which: int) -> None:
            step = open_[which].__anext__
            for _ in range(BLOCK):
                await step()

        async def end(which: int) -> None:
            async for _ in open_[which]:
                pass

        for part, step in self._steps(ask, read, end):
            took = [0, 0]
            for which in self._order():
                self._functions[which].put()
                before = _now()
                await step(which)
                took[which] = _now() - before
            times[part].append((took[0], took[1]))

    def _steps(self, ask: Any, read: Any, end: Any) -> list[tuple[str, Any]]:
        # the first block has what comes once, the role and the id, and belongs to the call
        return [("start", ask), ("first", read), *[("block", read)] * (self._blocks - 1), ("end", end)]


def _parsed_before(chunks: list[Any]) -> Callable[[], None]:
    """Let every stream of the client hand on these chunks; return what undoes it."""
    kept = Stream.__stream__, AsyncStream.__stream__

    def replay(_stream: Any) -> Iterator[Any]:
        yield from chunks

    async def replay_async(_stream: Any) -> AsyncIterator[Any]:
        for chunk in chunks:
            yield chunk

    Stream.__stream__, AsyncStream.__stream__ = replay, replay_async  # type: ignore[method-assign]

    def undo() -> None:
        Stream.__stream__, AsyncStream.__stream__ = kept  # type: ignore[method-assign]

    return undo


def _turns(pair: Callable[[Times], None], seen: Seen) -> Times:
    times: Times = {"start": [], "first": [], "block": [], "end": []}
    for _ in range(TURNS):
        pair(times)
        seen.forget()
    return times


def serve(library: str, say: Callable[[Any], None]) -> None:
    """Measure a round whenever told to."""
    seen, bare = Seen(), Functions()
    switch_on(library, quiet=True)
    instrumented = Functions()
    bare.put()
    sizes = {size: Streaming(chunks, (bare, instrumented)) for size, chunks in (("small", SMALL), ("large", LARGE))}
    gc.collect()
    gc.freeze()
    for _ in sys.stdin:
        took: dict[str, Any] = {}
        for size, streaming in sizes.items():
            for way, pair in (("sync", streaming.sync), ("async", streaming.asynchronous)):
                took[f"client {way} {size}"] = _turns(pair, seen)
                undo = _parsed_before(streaming.chunks)
                took[f"parsed {way} {size}"] = _turns(pair, seen)
                undo()
        say(took)
    for streaming in sizes.values():
        streaming.close()
