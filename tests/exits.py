"""Every way out of a stream that is not its end, for whichever library gives it: what to do, and what is to be told.

A stream that is left brings three pieces of text, and then nothing more for as long as anybody waits.
"""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from tests.telemetry_in_memory import Seen
from tests.vocabulary import metric_name

PIECES = 3


class LeaveError(Exception):
    """The consumer's own."""


Ask = Callable[[], Any]
Text = Callable[[Any], Any]


def _three(stream: Iterator[Any], text: Text) -> None:
    brought = 0
    while brought < PIECES:
        brought += bool(text(next(stream)))


def broken_off(ask: Ask, text: Text) -> None:
    brought = 0
    for item in ask():
        brought += bool(text(item))
        if brought == PIECES:
            break


def raised_outside(ask: Ask, text: Text) -> None:
    def consume() -> None:
        brought = 0
        for item in ask():
            brought += bool(text(item))
            if brought == PIECES:
                raise LeaveError

    with pytest.raises(LeaveError):
        consume()


def in_a_cycle(ask: Ask, text: Text) -> None:
    held: list[Any] = [iter(ask())]
    held.append(held)
    _three(held[0], text)
    del held
    gc.collect()


def closed(ask: Ask, text: Text) -> None:
    stream = iter(ask())
    _three(stream, text)
    stream.close()
    stream.close()


def left(ask: Ask, text: Text) -> None:
    with ask() as stream:
        _three(iter(stream), text)


def raised_inside(ask: Ask, text: Text) -> None:
    def consume() -> None:
        with ask() as stream:
            _three(iter(stream), text)
            raise LeaveError

    with pytest.raises(LeaveError):
        consume()


GOES = [(broken_off, "abandoned"), (raised_outside, "abandoned"), (in_a_cycle, "abandoned")]
CLOSES = [(closed, "closed_early")]
ENTERS = [(left, "closed_early"), (raised_inside, "error")]


async def _take(stream: AsyncIterator[Any], text: Text, then: Callable[[], object] | None = None) -> None:
    """Read the three pieces, and `then` on: for ever."""
    brought = 0
    async for item in stream:
        brought += bool(text(item))
        if brought == PIECES:
            if then is None:
                return
            then()


async def async_broken_off(ask: Ask, text: Text) -> None:
    await _take(await ask(), text)


async def async_closed(ask: Ask, text: Text) -> None:
    stream = await ask()
    await _take(stream, text)
    close = getattr(stream, "aclose", None) or stream.close
    await close()


async def cancelled(ask: Ask, text: Text) -> None:
    came = asyncio.Event()

    async def consume() -> None:
        await _take(await ask(), text, came.set)

    task = asyncio.create_task(consume())
    await came.wait()
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def timed_out(ask: Ask, text: Text) -> None:
    with pytest.raises(TimeoutError):  # noqa: PT012
        async with asyncio.timeout(30) as limit:
            loop = asyncio.get_running_loop()
            await _take(await ask(), text, lambda: limit.reschedule(loop.time() + 0.01))


ASYNC = [
    (async_broken_off, "abandoned"),
    (async_closed, "closed_early"),
    (cancelled, "cancelled"),
    (timed_out, "cancelled"),
]


def run(leave: Callable[[Ask, Text], Awaitable[None]], ask: Ask, text: Text, closing: Any) -> None:
    """Leave an async stream in a loop of its own; `closing` is awaited at its end."""

    async def main() -> None:
        await leave(ask, text)
        await closing()
        gc.collect()

    asyncio.run(main())


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged of each call, with its metrics."""
    caplog.set_level(logging.INFO, "otel_llm")
    return caplog


def told(seen: Seen, heard: pytest.LogCaptureFixture, outcome: str) -> None:
    """One call that is counted, with what there was: a first token, and three counted one by one.

    Of a call below it nothing is asked: a library may keep what it reads from after its own stream was let go of.
    """
    gc.collect()
    (outer,) = [span for span in seen.spans if span.parent is None]
    found = outer.attributes or {}
    assert found["otel_llm.stream.outcome"] == outcome
    assert found["otel_llm.time_to_first_token"] > 0
    assert "gen_ai.usage.output_tokens" not in found  # which is what was billed
    metrics = [record.otel_llm for record in heard.records if hasattr(record, "otel_llm")]
    assert {(one.output_tokens, one.token_source) for one in metrics} == {(PIECES, "chunks")}
    (duration,) = seen.points(metric_name("operation_duration"))
    assert duration.count == 1
    firsts = seen.points(metric_name("time_to_first_token"))
    assert sum(point.count for point in firsts) == (outcome != "error")
