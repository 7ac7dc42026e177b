"""Calls wait to be recorded together, and no collection misses one, through the real SDK."""

import logging
import os
import threading
import time
from dataclasses import dataclass, field

import pytest
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from otel_llm.measures import Facts
from otel_llm.sinks import metrics as metrics_module
from otel_llm.sinks.exemplars import WORST
from otel_llm.sinks.metrics import EndedCall
from otel_llm.sinks.otel import OTelSink
from otel_llm.sinks.probe import asks_before_it_reads
from otel_llm.testing import FakeClock, timeline
from tests.vocabulary import metric_name

HEAD = {"provider": "vllm", "model": "m"}


class SubclassedProvider(MeterProvider):
    """May do anything when somebody collects."""


@dataclass
class Calls:
    """Calls into a sink, and what its readers find of them."""

    readers: list[InMemoryMetricReader] = field(default_factory=lambda: [InMemoryMetricReader()])
    kind: type[MeterProvider] = MeterProvider

    def __post_init__(self) -> None:
        provider = self.kind(self.readers, views=[WORST], shutdown_on_exit=False)
        self.sink = OTelSink(TracerProvider(), provider, clock=FakeClock())
        self.sink._metrics.prepare()

    def make(self, drawing: str = "r.a|") -> str:
        """Make a call, and return the id of its span."""
        opened = self.sink.start(HEAD, 0)
        self.sink.finish(opened, timeline(drawing, **HEAD))
        return f"{opened.span.get_span_context().span_id:016x}"

    @property
    def waiting(self) -> int:
        return len(self.sink._metrics._waiting._waiting)

    def durations(self, reader: int = 0) -> list[object]:
        data = self.readers[reader].get_metrics_data()
        metrics = data.resource_metrics[0].scope_metrics[0].metrics if data else ()
        return [p for m in metrics if m.name == metric_name("operation_duration") for p in m.data.data_points]

    def counted(self, reader: int = 0) -> int:
        return sum(point.count for point in self.durations(reader))


@pytest.mark.parametrize("made", [1, 2, 31, 32, 33, 100])
def test_a_collection_has_every_call_that_ended_before_it(made: int) -> None:
    calls = Calls()
    for _ in range(made):
        calls.make()
    assert calls.waiting == made % 32
    assert calls.counted() == made
    assert calls.waiting == 0
    calls.make()
    assert calls.counted() == made + 1


def test_every_reader_gets_each_call_once() -> None:
    delta = InMemoryMetricReader({Histogram: AggregationTemporality.DELTA})
    calls = Calls([InMemoryMetricReader(), delta])
    found = []
    for made in (3, 40, 0, 5):
        for _ in range(made):
            calls.make()
        found.append((calls.counted(0), calls.counted(1)))
    assert found == [(3, 3), (43, 40), (43, 0), (48, 5)]


def test_a_provider_that_shuts_down_has_every_call() -> None:
    class Exporting(InMemoryMetricReader):
        last = None

        def shutdown(self, timeout_millis: float = 30_000, **more: object) -> None:
            Exporting.last = self.get_metrics_data()
            super().shutdown(timeout_millis, **more)

    calls = Calls([Exporting()])
    calls.make()
    calls.sink._metrics._provider.shutdown()
    (metric,) = (
        m
        for m in Exporting.last.resource_metrics[0].scope_metrics[0].metrics
        if m.name == metric_name("operation_duration")
    )
    assert [point.count for point in metric.data.data_points] == [1]


def test_threads_and_a_collector_lose_nothing() -> None:
    calls = Calls([InMemoryMetricReader({Histogram: AggregationTemporality.DELTA})])
    threads = [threading.Thread(target=lambda: [calls.make() for _ in range(300)]) for _ in range(6)]
    found = 0
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        found += calls.counted()
    for thread in threads:
        thread.join()
    assert found + calls.counted() == 6 * 300


def test_each_call_is_offered_as_an_exemplar_with_its_own_span_and_end() -> None:
    calls = Calls()
    spans = [calls.make("r" + "." * gaps + "a|") for gaps in (1, 30, 8)]  # in three buckets
    (point,) = calls.durations()
    found = [(f"{e.span_id:016x}", round(e.value, 3), e.time_unix_nano) for e in point.exemplars]
    epoch = FakeClock().wall_ns(0)
    ordered = ((spans[0], 0.03), (spans[2], 0.1), (spans[1], 0.32))
    assert found == [(span, seconds, epoch + round(seconds * 1e9)) for span, seconds in ordered]


def test_a_long_call_is_recorded_as_it_ends() -> None:
    calls = Calls()
    calls.make()
    calls.make("r" + "a" * 257 + "|")
    assert calls.waiting == 0
    assert calls.counted() == 2


def test_a_forked_child_leaves_what_waits_to_its_parent() -> None:
    calls = Calls()
    calls.make()
    read, write = os.pipe()
    if not (child := os.fork()):
        os.write(write, bytes([calls.waiting]))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 1) == b"\0"
    os.close(read), os.close(write)
    assert calls.counted() == 1


def test_this_sdk_asks_before_it_reads() -> None:
    assert asks_before_it_reads()


@pytest.mark.parametrize("why", ["an SDK that reads first", "a provider of another kind"])
def test_elsewhere_no_call_waits(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if why == "an SDK that reads first":
        monkeypatch.setattr(metrics_module, "asks_before_it_reads", lambda: False)
        calls = Calls()
    else:
        calls = Calls(kind=SubclassedProvider)
    calls.make()
    assert calls.waiting == 0
    assert calls.counted() == 1


def test_what_cannot_be_recorded_is_logged_once_and_stops_no_collection(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls()
    monkeypatch.setattr(calls.sink._metrics, "feed", lambda *_: 1 / 0)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            calls.make()
            assert calls.counted() == 0
    assert [record.message for record in caplog.records] == ["could not record a call; further failures are not logged"]


def test_calls_that_wait_cost_less_than_half() -> None:
    """A quarter of it where this was written."""
    together, alone, (facts,) = Calls(), Calls(kind=SubclassedProvider), Facts.of(timeline("r.a|", **HEAD))

    def took(calls: Calls) -> int:
        ended = [EndedCall(facts, calls.sink.start(HEAD, 0).span.get_span_context(), 0) for _ in range(32)]
        start = time.thread_time_ns()
        for call in ended:
            calls.sink._metrics.record_soon(call)
        return time.thread_time_ns() - start

    rounds = [(took(together), took(alone)) for _ in range(15)]
    assert min(a for a, _ in rounds) < 0.5 * min(b for _, b in rounds)
