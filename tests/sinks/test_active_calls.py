"""How many calls are under way, as collection finds them, through the real SDK."""

from opentelemetry.metrics._internal import _ProxyMeterProvider
from opentelemetry.sdk.metrics import MeterProvider, ObservableUpDownCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from otel_llm.sinks.otel import OTelSink
from otel_llm.testing import FakeClock, timeline
from tests.vocabulary import metric_name

HEAD = {"provider": "vllm", "model": "m"}


def sink_into(*readers, provider=None):
    return OTelSink(TracerProvider(), provider or MeterProvider(readers), clock=FakeClock())


def active(reader):
    """{model: calls under way}"""
    data = reader.get_metrics_data()
    metrics = data.resource_metrics[0].scope_metrics[0].metrics if data else ()
    (points,) = [m.data.data_points for m in metrics if m.name == metric_name("active_requests")] or [()]
    return {point.attributes["gen_ai.request.model"]: point.value for point in points}


def finish(sink, opened):
    sink.finish(opened, timeline("r.a|", **HEAD))


def test_calls_under_way_are_counted_by_their_attributes_and_told_to_every_reader() -> None:
    readers = InMemoryMetricReader(), InMemoryMetricReader()
    sink = sink_into(*readers)
    opened = [sink.start({**HEAD, "model": model}, 0) for model in "mmn"]
    assert [active(reader) for reader in readers] == [{"m": 2, "n": 1}] * 2
    finish(sink, opened[0])
    sink.uncount(opened[2])
    assert active(readers[0]) == {"m": 1, "n": 0}
    for one in opened:  # each ends once more, or after it was uncounted
        finish(sink, one)
    assert active(readers[1]) == {"m": 0, "n": 0}


def test_a_reader_of_differences_is_told_how_many_more_or_fewer() -> None:
    reader = InMemoryMetricReader({ObservableUpDownCounter: AggregationTemporality.DELTA})
    sink, told = sink_into(reader), []
    opened = [sink.start(HEAD, 0), sink.start(HEAD, 0)]
    told.append(active(reader))
    finish(sink, opened[0])
    told += active(reader), active(reader)
    assert told == [{"m": 2}, {"m": -1}, {"m": 0}]


def test_calls_that_begin_after_a_provider_was_set_are_counted() -> None:
    later, reader = _ProxyMeterProvider(), InMemoryMetricReader()
    sink = sink_into(provider=later)
    sink._metrics.prepare()
    later.on_set_meter_provider(MeterProvider([reader]))
    opened = sink.start(HEAD, 0)
    assert active(reader) == {"m": 1}
    finish(sink, opened)
    assert active(reader) == {"m": 0}
