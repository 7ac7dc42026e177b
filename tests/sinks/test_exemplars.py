import pytest
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from otel_llm.sinks.bulk import record_many
from otel_llm.sinks.exemplars import WORST


def provided(aggregation=None, **more):
    reader = InMemoryMetricReader(preferred_aggregation={Histogram: aggregation} if aggregation else None)
    provider = MeterProvider([reader], views=[WORST], shutdown_on_exit=False, **more)
    histogram = provider.get_meter("m").create_histogram("h", explicit_bucket_boundaries_advisory=[0.1, 1.0])

    def exemplars():
        (metric,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
        return [(e.value, e.trace_id, e.filtered_attributes) for e in metric.data.data_points[0].exemplars]

    return histogram, exemplars


def within(trace_id):
    return set_span_in_context(NonRecordingSpan(SpanContext(trace_id, 7, False, TraceFlags(TraceFlags.SAMPLED))))


def test_explicit_buckets_keep_the_largest_of_each_with_its_span():
    histogram, exemplars = provided()
    for trace_id, value in enumerate([0.01, 0.09, 0.05, 0.5, 3.0, 0.2], start=1):
        histogram.record(value, {"a": "b"}, context=within(trace_id))
    assert exemplars() == [(0.09, 2, {}), (0.5, 4, {}), (3.0, 5, {})]
    assert exemplars() == []


@pytest.mark.parametrize("many", [False, True])
def test_an_exponential_histogram_keeps_the_four_largest_of_a_cycle(many):
    histogram, exemplars = provided(ExponentialBucketHistogramAggregation())
    for trace_id in range(1, 11):
        values = [trace_id / 10 / k for k in (3, 1, 2)]
        if many:
            record_many(histogram, values * 4, context=within(trace_id))
        else:
            histogram.record(max(values), context=within(trace_id))
    assert exemplars() == [(0.7, 7, {}), (0.8, 8, {}), (0.9, 9, {}), (1.0, 10, {})]
    assert exemplars() == []


def test_a_value_without_a_span_has_no_ids():
    histogram, exemplars = provided(exemplar_filter=AlwaysOnExemplarFilter())
    histogram.record(0.5)
    assert exemplars() == [(0.5, None, {})]


def test_values_outside_a_sampled_span_are_not_kept_by_the_default_filter():
    histogram, exemplars = provided()
    histogram.record(0.5)
    assert exemplars() == []
