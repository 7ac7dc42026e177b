"""Every path out of a stream: one span, the right outcome, its end at the last chunk, and all that came by then."""

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Self

import pytest

import otel_llm
from otel_llm.instrumentation.calls import in_flight
from otel_llm.testing import FakeClock
from tests.vocabulary import metric_name

STEP = 0.01


class Model:
    """Streams on a clock that only it moves: 50 ms to the first token, 10 ms to each of the rest."""

    def __init__(self, clock: FakeClock, fail_at: int | None = None) -> None:
        self.clock, self.fail_at = clock, fail_at

    def _tokens(self, n: int) -> Iterator[str]:
        for i in range(n):
            self.clock.advance(seconds=STEP if i else 5 * STEP)
            if i == self.fail_at:
                raise ConnectionError("broken pipe")
            yield f"t{i} "

    @otel_llm.metrics
    def stream(self, n: int = 5) -> Iterator[str]:
        yield from self._tokens(n)

    @otel_llm.metrics
    async def astream(self, n: int = 5) -> AsyncIterator[str]:
        for token in self._tokens(n):
            await asyncio.sleep(0)
            yield token


class LeaveError(Exception):
    pass


def full(model: Model) -> None:
    assert len(list(model.stream())) == 5


def broken_off(model: Model) -> None:
    for token in model.stream():
        if token == "t1 ":
            break
    model.clock.advance(seconds=7)


def closed_twice(model: Model) -> None:
    stream = model.stream()
    next(stream), next(stream)
    model.clock.advance(seconds=7)
    stream.close()  # type: ignore[attr-defined]
    stream.close()  # type: ignore[attr-defined]


def kept(model: Model) -> None:
    stream = model.stream()
    next(stream), next(stream)
    model.clock.advance(seconds=7)
    del stream


def in_a_cycle(model: Model) -> None:
    held: list[Any] = [model.stream()]
    held.append(held)
    next(held[0]), next(held[0])
    del held
    model.clock.advance(seconds=7)
    gc.collect()


def thrown_into(model: Model) -> None:
    stream = model.stream()
    next(stream), next(stream)
    with pytest.raises(LeaveError):
        stream.throw(LeaveError())  # type: ignore[attr-defined]


def other_thread(model: Model) -> None:
    stream = model.stream()
    thread = threading.Thread(target=lambda: list(stream))
    thread.start()
    thread.join()


def delegated(model: Model) -> None:
    def outer() -> Iterator[str]:
        yield from model.stream()

    assert len(list(outer())) == 5


def never_asked(model: Model) -> None:
    model.stream()


def drive(consume: Callable[[Model], Any]) -> Callable[[Model], None]:
    def driven(model: Model) -> None:
        asyncio.run(consume(model))

    driven.__name__ = consume.__name__
    return driven


@drive
async def async_full(model: Model) -> None:
    assert len([token async for token in model.astream()]) == 5


@drive
async def async_broken_off(model: Model) -> None:
    async for token in model.astream():
        if token == "t1 ":
            break
    model.clock.advance(seconds=7)


@drive
async def async_closed(model: Model) -> None:
    stream = model.astream()
    await anext(stream), await anext(stream)
    model.clock.advance(seconds=7)
    await stream.aclose()  # type: ignore[attr-defined]
    await stream.aclose()  # type: ignore[attr-defined]


@drive
async def cancelled(model: Model) -> None:
    started = asyncio.Event()

    async def hang() -> AsyncIterator[str]:
        async for token in model._astream_then_hang(started):
            yield token

    async def consume() -> None:
        async for _ in otel_llm.metrics(hang)():
            pass

    task = asyncio.create_task(consume())
    await started.wait()
    model.clock.advance(seconds=7)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@drive
async def timed_out(model: Model) -> None:
    started = asyncio.Event()

    async def hang() -> AsyncIterator[str]:
        async for token in model._astream_then_hang(started):
            yield token

    with pytest.raises(TimeoutError):  # noqa: PT012
        async with asyncio.timeout(0.02):
            async for _ in otel_llm.metrics(hang)():
                pass


async def _astream_then_hang(self: Model, started: asyncio.Event) -> AsyncIterator[str]:
    for token in self._tokens(2):
        yield token
    started.set()
    await asyncio.Event().wait()


Model._astream_then_hang = _astream_then_hang  # type: ignore[attr-defined]

# what happens, outcome, chunks, seconds: the first token takes 50 ms and each further one 10 ms
EXITS = [
    (full, "complete", 5, 0.09),
    (broken_off, "abandoned", 2, 0.06),
    (closed_twice, "closed_early", 2, 0.06),
    (kept, "abandoned", 2, 0.06),
    (in_a_cycle, "abandoned", 2, 0.06),
    (thrown_into, "error", 2, 0.06),
    (other_thread, "complete", 5, 0.09),
    (delegated, "complete", 5, 0.09),
    (never_asked, "abandoned", 0, 0.0),
    (async_full, "complete", 5, 0.09),
    (async_broken_off, "abandoned", 2, 0.06),
    (async_closed, "closed_early", 2, 0.06),
    (cancelled, "cancelled", 2, 0.06),
    (timed_out, "cancelled", 2, 0.06),
]


@pytest.mark.parametrize(
    ("leave", "outcome", "chunks", "seconds"), EXITS, ids=lambda value: getattr(value, "__name__", "")
)
def test_every_exit_ends_the_call_once(
    leave: Callable[[Model], None], outcome: str, chunks: int, seconds: float, seen: Any, clock: FakeClock
) -> None:
    """S1.4: unfinished streams end at their last chunk, and what came by then is there."""
    gc.disable()
    try:
        leave(Model(clock))
    finally:
        gc.enable()
    span = seen.span()
    attributes = span.attributes or {}
    assert attributes["otel_llm.stream.outcome"] == outcome
    assert seen.seconds() == pytest.approx(seconds)
    assert attributes.get("otel_llm.time_to_first_token") == (pytest.approx(0.05) if chunks else None)
    assert len(seen.points(metric_name("operation_duration"))) == 1
    assert sum(p.count for p in seen.points(metric_name("inter_token_latency"))) == (
        max(chunks - 1, 0) if outcome != "error" else 0
    )
    assert span.status.is_ok == (outcome != "error") or span.status.is_unset
    assert not in_flight.OPEN


def test_break_ends_the_call_at_once_and_in_the_same_task(seen: Any, clock: FakeClock) -> None:
    async def consume() -> None:
        async for _ in Model(clock).astream():
            break
        assert seen.outcome() == "abandoned"

    asyncio.run(consume())


def test_an_error_of_the_stream_is_the_same_object_with_the_same_traceback(seen: Any, clock: FakeClock) -> None:
    """S1.8: recorded with its type, and passed on unchanged."""
    model = Model(clock, fail_at=2)
    with pytest.raises(ConnectionError) as raised:
        list(model.stream())
    frames = [entry.name for entry in raised.traceback]
    assert frames[-1] == "_tokens"
    assert seen.outcome() == "error"
    assert (seen.span().attributes or {})["error.type"] == "ConnectionError"
    assert seen.seconds() == pytest.approx(0.07)
    assert model.stream.last_metrics is not None
    assert len(model.stream.last_metrics.inter_token_latencies) == 1
    assert not seen.points(metric_name("time_to_first_token"))


class Managed:
    """A stream object with more than iteration."""

    def __init__(self, tokens: Iterator[str]) -> None:
        self.tokens, self.response, self.closed = tokens, object(), 0

    def __iter__(self) -> "Managed":
        return self

    def __next__(self) -> str:
        return next(self.tokens)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def managed(clock: FakeClock) -> Callable[[], Managed]:
    model = Model(clock)

    @otel_llm.metrics
    def create() -> Managed:
        return Managed(model._tokens(5))

    return create


def test_with_and_break_is_closed_early(managed: Callable[[], Managed], seen: Any, clock: FakeClock) -> None:
    with managed() as stream:
        for _ in stream:
            break
        clock.advance(seconds=7)
    assert (seen.outcome(), stream.closed) == ("closed_early", 1)
    assert seen.seconds() == pytest.approx(0.05)


def test_an_exception_in_with_is_an_error_that_ends_at_the_last_chunk(
    managed: Callable[[], Managed], seen: Any, clock: FakeClock
) -> None:
    with pytest.raises(LeaveError), managed() as stream:  # noqa: PT012
        for _ in stream:
            clock.advance(seconds=7)
            raise LeaveError
    assert seen.outcome() == "error"
    assert (seen.span().attributes or {})["error.type"].endswith("LeaveError")
    assert seen.seconds() == pytest.approx(0.05)


def test_unfinished_streams_are_told_when_the_interpreter_exits() -> None:
    program = """
import otel_llm
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
provider = TracerProvider()
told = lambda span: span.attributes["otel_llm.stream.outcome"] + "\\n"
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=told)))
trace.set_tracer_provider(provider)

@otel_llm.metrics
def words():
    yield from "abc"

kept = words()
next(kept)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["abandoned"]
    assert done.stderr == ""


def test_ten_thousand_abandoned_and_cancelled_streams_leave_nothing_behind(seen: Any, clock: FakeClock) -> None:
    model = Model(clock)

    async def many(n: int) -> None:
        for _ in range(n):
            async for _ in model.astream():
                break
            stream = model.stream()
            next(stream)
            task = asyncio.create_task(anext(model.astream()))  # type: ignore[arg-type]
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(many(10))
    seen.exporter.clear()
    gc.collect()
    objects = len(gc.get_objects())
    asyncio.run(many(3334))
    assert len(seen.spans) == 3 * 3334
    assert not in_flight.OPEN
    seen.exporter.clear()
    gc.collect()
    assert len(gc.get_objects()) - objects < 500
