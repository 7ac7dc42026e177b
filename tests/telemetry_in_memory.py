"""Telemetry in memory, for whatever is instrumented: fixtures that the folders which need them import."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_llm.clock import SYSTEM
from otel_llm.instrumentation.calls.destination import DESTINATION
from otel_llm.sinks.otel import OTelSink
from otel_llm.testing import FakeClock


class Seen:
    """What telemetry saw: spans that ended, and points of metrics."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader])
        self.clock = clock or SYSTEM
        self.sink = OTelSink(self.tracers, self.meters, clock=self.clock)
        self.tracer = self.tracers.get_tracer("test")

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def span(self) -> ReadableSpan:
        """The one span there is."""
        (span,) = self.spans
        return span

    def outcome(self) -> Any:
        return (self.span().attributes or {})["otel_llm.stream.outcome"]

    def seconds(self) -> float:
        span = self.span()
        assert span.end_time is not None
        assert span.start_time is not None
        return (span.end_time - span.start_time) / 1e9

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(at_ns=1_000_000_000)


def _using(seen: Seen) -> Iterator[Seen]:
    gc.freeze()  # a collection then looks at what the test makes, not at the libraries, which takes a tenth of a second
    with DESTINATION.replaced(seen.sink, seen.clock):
        yield seen
        gc.collect()
    gc.unfreeze()


@pytest.fixture
def seen(clock: FakeClock) -> Iterator[Seen]:
    """Telemetry in memory, on a clock that the test moves."""
    yield from _using(Seen(clock))


@pytest.fixture
def seen_live() -> Iterator[Seen]:
    """Telemetry in memory, on the real clock."""
    yield from _using(Seen())


@pytest.fixture
def parent(seen: Seen) -> Iterator[trace.Span]:
    with seen.tracer.start_as_current_span("parent") as span:
        yield span
