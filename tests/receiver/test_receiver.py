"""Real exporters of the SDK, over real sockets, into the receiver."""

import gzip
import json
import random
import urllib.error
import urllib.request

import numpy as np
import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from otel_llm.sinks.exemplars import WORST
from otel_llm.testing import OtlpReceiver

DELTA = {Histogram: AggregationTemporality.DELTA, Counter: AggregationTemporality.DELTA}


@pytest.fixture
def receiver():
    with OtlpReceiver() as receiver:
        yield receiver


def exporters(receiver, protocol, **metrics):
    if protocol == "grpc":
        return GrpcSpans(receiver.grpc_endpoint), GrpcMetrics(receiver.grpc_endpoint, **metrics)
    compression = Compression.Gzip if protocol == "http, gzip" else None
    base = receiver.http_endpoint
    return (
        HttpSpans(f"{base}/v1/traces", compression=compression),
        HttpMetrics(f"{base}/v1/metrics", compression=compression, **metrics),
    )


def metering(exporter, resource=None):
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    return MeterProvider([reader], resource=Resource(resource or {}), views=[WORST], shutdown_on_exit=False)


@pytest.mark.parametrize("protocol", ["grpc", "http", "http, gzip"])
def test_spans_and_metrics_arrive_by_every_protocol(receiver, protocol):
    spans, metrics = exporters(receiver, protocol)
    tracing = TracerProvider(resource=Resource({"service.name": "app"}), shutdown_on_exit=False)
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    meters = metering(metrics)
    histogram = meters.get_meter("m").create_histogram("latency", "s", explicit_bucket_boundaries_advisory=[0.1, 1.0])
    with tracing.get_tracer("t").start_as_current_span("chat m", attributes={"n": 1, "l": ["a", "b"]}) as span:
        histogram.record(0.5, {"gen_ai.operation.name": "chat"})
    meters.get_meter("m").create_counter("requests").add(3)
    meters.shutdown()
    tracing.shutdown()
    (got,) = receiver.spans
    context = span.get_span_context()
    assert (got.name, got.trace_id, got.span_id, got.parent_span_id) == ("chat m", context.trace_id, context.span_id, 0)
    assert (got.kind, got.status, got.scope) == ("INTERNAL", "UNSET", "t")
    assert got.attributes == {"n": 1, "l": ("a", "b")}
    assert got.resource == {"service.name": "app"}
    assert (got.start_unix_ns, got.end_unix_ns) == (span.start_time, span.end_time)
    assert receiver.metric_names() == ["latency", "requests"]
    found = receiver.histogram("latency", gen_ai_operation_name="chat")
    assert (found.count, found.sum, found.min, found.max) == (1, 0.5, 0.5, 0.5)
    assert receiver.histogram("latency", gen_ai_operation_name="embeddings") is None
    assert receiver.counter("requests") == 3
    assert receiver.counter("absent") is None
    (exemplar,) = receiver.exemplars("latency")
    assert (exemplar.value, exemplar.trace_id, exemplar.span_id) == (0.5, context.trace_id, context.span_id)
    assert receiver.attributes("latency") == [{"gen_ai.operation.name": "chat"}]


@pytest.mark.parametrize("temporality", [None, DELTA], ids=["cumulative", "delta"])
@pytest.mark.parametrize("aggregation", [ExplicitBucketHistogramAggregation(), ExponentialBucketHistogramAggregation()])
def test_the_latest_total_counts_whether_points_are_cumulative_or_deltas(receiver, temporality, aggregation):
    _, exporter = exporters(
        receiver, "http", preferred_temporality=temporality, preferred_aggregation={Histogram: aggregation}
    )
    meters = metering(exporter)
    meter = meters.get_meter("m")
    histogram, counter = (
        meter.create_histogram("h", explicit_bucket_boundaries_advisory=[1.0, 2.0]),
        meter.create_counter("c"),
    )
    for value in (0.5, 1.5, 9.0):
        histogram.record(value)
        counter.add(1)
        meters.force_flush()
    found = receiver.histogram("h")
    assert (found.count, found.sum) == (3, 11.0)
    assert receiver.counter("c") == 3
    meters.shutdown()


def test_streams_of_several_resources_are_merged(receiver):
    for instance in ("a", "b"):
        _, exporter = exporters(
            receiver, "http", preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()}
        )
        meters = metering(exporter, resource={"service.instance.id": instance})
        histogram = meters.get_meter("m").create_histogram("h")
        for value in (0.010, 0.011) if instance == "a" else (0.5, 5.0):
            histogram.record(value)
        meters.shutdown()
    found = receiver.histogram("h")
    assert (found.count, found.min, found.max) == (4, 0.010, 5.0)


def test_json_is_read_with_its_ids_in_hex(receiver):
    body = {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "app"}}]},
                "scopeSpans": [
                    {
                        "scope": {"name": "s"},
                        "spans": [
                            {
                                "traceId": "5b8efff798038103d269b633813fc60c",
                                "spanId": "eee19b7ec3c1b174",
                                "parentSpanId": "eee19b7ec3c1b173",
                                "name": "I'm a span",
                                "startTimeUnixNano": "1544712660000000000",
                                "endTimeUnixNano": "1544712661000000000",
                                "kind": 2,
                                "anUnknownField": 1,
                            }
                        ],
                    }
                ],
            }
        ]
    }
    request = urllib.request.Request(
        f"{receiver.http_endpoint}/v1/traces",
        gzip.compress(json.dumps(body).encode()),
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer) == {}
    (span,) = receiver.spans
    assert (span.trace_id, span.span_id) == (0x5B8EFFF798038103D269B633813FC60C, 0xEEE19B7EC3C1B174)
    assert (span.parent_span_id, span.kind) == (0xEEE19B7EC3C1B173, "SERVER")


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_logs_are_taken_without_a_complaint(receiver, protocol):
    grpc = protocol == "grpc"
    exporter = GrpcLogs(receiver.grpc_endpoint) if grpc else HttpLogs(f"{receiver.http_endpoint}/v1/logs")
    assert exporter.export([]) is LogRecordExportResult.SUCCESS
    exporter.shutdown()


def post(receiver, body):
    request = urllib.request.Request(f"{receiver.http_endpoint}/v1/traces", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def spans(*more):
    known = {"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "1", "name": "x"}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{**known, **one} for one in more]}]}]}).encode()


def test_a_newer_sender_may_have_kinds_and_codes_that_are_not_known_here(receiver):
    sent = spans({"kind": 99}, {"status": {"code": 77}}, {"kind": 3, "status": {"code": 2}})
    assert post(receiver, sent) == 200
    assert [(span.kind, span.status) for span in receiver.spans] == [
        ("99", "UNSET"),
        ("UNSPECIFIED", "77"),
        ("CLIENT", "ERROR"),
    ]


DEEP = b'{"a":' * 900 + b"1" + b"}" * 900


@pytest.mark.parametrize(
    "body",
    [
        spans({}, {"traceId": 5}),
        spans({"spanId": None}),
        spans({"parentSpanId": ["a"]}),
        spans({"traceId": "xyz"}),
        DEEP,
    ],
)
def test_what_cannot_be_read_is_refused_whole(receiver, body):
    assert post(receiver, body) == 400
    assert receiver.spans == []


@pytest.mark.parametrize("kind", ["application/json", "application/x-protobuf"])
def test_what_is_no_otlp_is_refused(receiver, kind):
    request = urllib.request.Request(f"{receiver.http_endpoint}/v1/metrics", b"\xff{", {"Content-Type": kind})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request)


def test_what_is_awaited_arrives_or_the_time_is_up(receiver):
    assert not receiver.wait_for(lambda got: got.spans, timeout_s=0.01)
    spans, _ = exporters(receiver, "grpc")
    tracing = TracerProvider(shutdown_on_exit=False)
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    tracing.get_tracer("t").start_span("one").end()
    assert receiver.wait_for(lambda got: len(got.spans) == 1)


def test_a_port_that_is_taken_is_an_oserror(receiver):
    with pytest.raises(OSError, match="address"), OtlpReceiver(http_port=int(receiver.http_endpoint.rsplit(":")[-1])):
        pass
    with (
        pytest.raises(OSError, match="expected to listen"),
        OtlpReceiver(grpc_port=int(receiver.grpc_endpoint.rsplit(":")[-1])),
    ):
        pass


def test_exponential_quantiles_are_within_half_a_bucket_of_the_truth(receiver):
    rng = random.Random(7)
    values = [rng.lognormvariate(-2, 0.7) for _ in range(5000)]
    _, exporter = exporters(
        receiver, "grpc", preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()}
    )
    meters = metering(exporter)
    histogram = meters.get_meter("m").create_histogram("h")
    for value in values:
        histogram.record(value)
    meters.shutdown()
    found = receiver.histogram("h")
    for q in (0.0, 0.5, 0.9, 0.99, 1.0):
        assert found.quantile(q) == pytest.approx(float(np.quantile(values, q)), rel=0.03)
    assert found.quantile(1.0) == max(values)
    assert found.mean == pytest.approx(sum(values) / 5000)
