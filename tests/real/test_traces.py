"""Span metrics are made of all spans; of the traces themselves the errors and the slow ones are all kept."""

from collections.abc import Iterator

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode

from tests.real.accuracy import PACE, RealProgram, fast_prometheus, value
from tools.services import Collector, Jaeger, Prometheus
from tools.waiting import until

pytestmark = pytest.mark.timeout(60)
FAST, SLOW, FAILED = 60, 5, 4


@pytest.fixture(scope="module")
def store(real_program: RealProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with fast_prometheus(real_program("prometheus"), tmp_path_factory.mktemp("traces")) as part:
        yield part


@pytest.fixture(scope="module")
def sampling(
    real_program: RealProgram, store: Prometheus, jaeger: Jaeger, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collector]:
    """A Collector that keeps none of the ordinary traces."""
    sampled = {"TRACES_PROCESSORS": "[memory_limiter, tail_sampling]", "TRACES_SAMPLED_PERCENT": "0"}
    variables = {**PACE, **sampled, "TRACES_DECISION_WAIT": "1s"}
    data, program = tmp_path_factory.mktemp("otelcol"), real_program("otelcol")
    with Collector(program, data, prometheus=store, jaeger=jaeger, variables=variables) as part:
        yield part


def test_errors_and_slow_first_tokens_are_kept_and_all_are_counted(
    sampling: Collector, store: Prometheus, jaeger: Jaeger
) -> None:
    provider = TracerProvider(resource=Resource.create({"service.name": "sampled-app"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{sampling.http}/v1/traces")))
    tracer = provider.get_tracer("tests")
    traces: dict[str, list[str]] = {"fast": [], "slow": [], "failed": []}
    for kind in ("fast",) * FAST + ("slow",) * SLOW + ("failed",) * FAILED:
        attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
        first = "gen_ai.response.time_to_first_chunk" if len(traces["slow"]) % 2 else "otel_llm.time_to_first_token"
        with tracer.start_as_current_span(
            "chat m", attributes={**attributes, first: 3.0 if kind == "slow" else 0.2}
        ) as span:
            if kind == "failed":
                span.set_status(Status(StatusCode.ERROR))
            traces[kind].append(format(span.get_span_context().trace_id, "032x"))
    with tracer.start_as_current_span("GET /"):
        pass  # no call of a model: no measure of one
    provider.shutdown()
    for trace in traces["slow"] + traces["failed"]:
        assert until(lambda at=trace: jaeger.spans(at), 20), sampling.log_tail()
    assert [trace for trace in traces["fast"] if jaeger.spans(trace)] == []
    count = 'sum(histogram_count(traces_span_metrics_duration_seconds{job="sampled-app"}))'
    assert until(lambda: store.query(count) and value(store, count) == FAST + SLOW + FAILED, 20), store.query(count)
