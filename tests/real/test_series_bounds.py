"""What keeps a sender from making series without end: the bounds that docs/collector.md names, on a real Collector."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.real.accuracy import PACE, RealProgram, fast_prometheus, value
from tests.real.points import explicit, histogram, now, post
from tests.vocabulary import metric_name
from tools.services import CONFIG, Collector, Prometheus
from tools.waiting import until

pytestmark = pytest.mark.timeout(120)

SECOND = 1_000_000_000
STREAMS, CALLS, MODELS = 5, 3, 12
DURATION = metric_name("operation_duration")
PAGE = Path(__file__).parent.parent.parent / "docs" / "collector.md"


@pytest.fixture(scope="module")
def parts(
    real_program: RealProgram, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Collector, Prometheus]]:
    folder = tmp_path_factory.mktemp("bounds")
    (folder / "rules").mkdir()
    shut_out = re.search(r"To shut one sender out.+?```yaml\n(.+?)```", PAGE.read_text(), re.DOTALL)
    assert shut_out
    (folder / "out.yaml").write_text(shut_out[1])
    told = {
        **PACE,
        "COLLECTOR_MAX_DELTA_STREAMS": str(STREAMS),
        "COLLECTOR_MAX_SPAN_SERIES": str(CALLS),
        "SPAN_METRICS_INTERVAL": "1s",
    }
    files = (CONFIG / "base.yaml", CONFIG / "stores" / "prometheus.yaml", folder / "out.yaml")
    with (
        fast_prometheus(real_program("prometheus"), folder / "prometheus", rules=folder / "rules") as store,
        Collector(
            real_program("otelcol"), folder / "otelcol", prometheus=store, config=files, variables=told
        ) as otelcol,
    ):
        yield otelcol, store


def of_each_model(temporality: str) -> object:
    begun = now() - 20 * SECOND
    points = [
        explicit({"gen_ai.operation.name": "chat", "gen_ai.request.model": f"m{n}"}, [0.3], begun, begun + SECOND)
        for n in range(MODELS)
    ]
    return histogram(DURATION, points, temporality)


def test_delta_streams_have_a_bound_and_the_collector_says_what_it_refused(parts: tuple[Collector, Prometheus]) -> None:
    otelcol, store = parts
    post(otelcol, "delta-app", of_each_model("delta"))
    counted = 'count(gen_ai_client_operation_duration_seconds_count{job="delta-app"})'
    assert until(lambda: bool(store.query(counted)), 20)
    assert value(store, counted) == STREAMS
    refused = 'sum(otelcol_deltatocumulative_datapoints_total{error="limit"})'
    assert until(lambda: bool(store.query(refused)) and value(store, refused) == MODELS - STREAMS, 20)


def test_calls_beyond_the_bound_are_counted_in_one_series(parts: tuple[Collector, Prometheus]) -> None:
    otelcol, store = parts
    provider = TracerProvider(resource=Resource.create({"service.name": "span-app"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{otelcol.http}/v1/traces")))
    for n in range(MODELS):
        with provider.get_tracer("tests").start_as_current_span("chat") as span:
            span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.request.model": f"m{n}"})
    provider.shutdown()
    calls = 'traces_span_metrics_calls_total{job="span-app"}'
    assert until(lambda: bool(store.query(calls)) and value(store, f"sum({calls})") == MODELS, 20)
    (beyond,) = store.query('traces_span_metrics_calls_total{job="span-app", otel_metric_overflow="true"}')
    assert float(beyond["value"][1]) == MODELS - CALLS
    assert value(store, f"count({calls})") == CALLS + 1


def test_a_sender_is_shut_out_as_the_page_says(parts: tuple[Collector, Prometheus]) -> None:
    otelcol, store = parts
    for service in ("too-many", "another"):
        post(otelcol, service, of_each_model("cumulative"))
    counted = 'count(gen_ai_client_operation_duration_seconds_count{job="%s"})'
    assert until(lambda: bool(store.query(counted % "another")), 20)
    assert value(store, counted % "another") == MODELS
    assert store.query(counted % "too-many") == []
