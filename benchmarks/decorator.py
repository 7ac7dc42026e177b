"""What a decorated stream costs per chunk above the bare one: CPU time, sync and async, both in the same run.
And what a decorated call costs: without an SDK, and with one beside a program that tells the SDK the same by hand.

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

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_llm

CHUNKS = 2_000
ROUNDS = 150
CALLS = 50
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


def per_call(call: Callable[[str], object], spans: InMemorySpanExporter) -> float:
    """Return microseconds of CPU that a call takes. spans: those that are kept, which would cost more and more"""
    call("a")
    least = float("inf")
    for _ in range(ROUNDS):
        spans.clear()
        start = time.thread_time_ns()
        for _ in range(CALLS):
            call("a")
        least = min(least, (time.thread_time_ns() - start) / CALLS / 1e3)
    return round(least, 1)


def plain_call() -> dict[str, float]:
    """Return microseconds per call of a decorated function: without an SDK, then with one, in this process."""
    decorated = otel_llm.metrics(model="m")(str)
    spans = InMemorySpanExporter()
    without = per_call(decorated, spans)
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))
    tracer, meter = trace.get_tracer("by hand"), metrics.get_meter("by hand")
    active, durations, served = (
        meter.create_up_down_counter("a"),
        meter.create_histogram("d"),
        meter.create_histogram("s"),
    )
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "_OTHER", "gen_ai.request.model": "m"}

    def by_hand(text: str) -> None:
        active.add(1, attributes)
        with tracer.start_as_current_span("chat m", attributes=attributes) as span:
            str(text)
            durations.record(0.001, attributes)
            served.record(0.001, attributes)
            span.set_attribute("otel_llm.stream.outcome", "complete")
        active.add(-1, attributes)

    def span_and_point(_: str) -> None:
        with tracer.start_as_current_span("chat m", attributes={"gen_ai.request.model": "m"}):
            durations.record(1.0, {"gen_ai.request.model": "m"})

    told: dict[str, Callable[[str], object]] = {
        "with_sdk_us": decorated,
        "by_hand_us": by_hand,
        "span_and_point_us": span_and_point,
    }
    return {"without_sdk_us": without, **{name: per_call(call, spans) for name, call in told.items()}}


def main() -> int:
    result = {"sync": compare(drive, bare), "async": compare(drive_async, bare_async)}
    called = plain_call()  # sets up an SDK, so it is the last
    print(json.dumps({"benchmark": "decorator", "call": called, **result, "budget_ns": BUDGET_NS}))
    return int(any(measured["added_ns"] > BUDGET_NS for measured in result.values()))


if __name__ == "__main__":
    sys.exit(main())
