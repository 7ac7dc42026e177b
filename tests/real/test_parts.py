"""The real parts themselves: they start, answer, carry what is sent through, and leave no process behind."""

import http.client
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from tools.process import PartError, PartProcess
from tools.services import Collector, InferenceSim, Jaeger, Prometheus
from tools.waiting import until

pytestmark = pytest.mark.timeout(60)

ROOT = Path(__file__).parent.parent.parent
ARRIVES_S = 20.0
COUNT = 2345


def exists(pid: int | None) -> bool:
    """Whether it runs; what has ended and was not yet fetched by its parent does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(params=["prometheus", "jaeger", "otelcol", "llm-d-inference-sim"])
def part(request: pytest.FixtureRequest, real_program: Callable[[str], Path], tmp_path: Path) -> PartProcess:
    """One of each kind, not started, for the test alone."""
    kinds = (Prometheus, Jaeger, Collector, InferenceSim)
    kind = next(kind for kind in kinds if kind.name == request.param)
    return kind(real_program(request.param), tmp_path)


def test_part_starts_answers_and_stops(part: PartProcess) -> None:
    part.start()
    try:
        first = part.pid
        assert exists(first)
        part.restart()
        assert part.pid != first
        assert not exists(first)
    finally:
        status = part.stop()
    assert status == 0, part.log_tail()
    assert not part.running
    assert not exists(part.pid)


def test_killed_part_is_reported_with_its_log(part: PartProcess) -> None:
    with part:
        part.kill()
        with pytest.raises(PartError, match=f"expected {part.name} to run, got exit status -9"):
            part.check()
    assert not exists(part.pid)


def test_part_that_cannot_start_says_why(real_program: Callable[[str], Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("no_such_section: {}\n")
    with pytest.raises(PartError, match="no_such_section"):
        Prometheus(real_program("prometheus"), tmp_path / "data", config=bad).start()


@pytest.mark.parametrize("over", ["grpc", "http"])
def test_exponential_histogram_is_counted_exactly(over: str, otelcol: Collector, prometheus: Prometheus) -> None:
    run = uuid.uuid4().hex
    exporter: MetricExporter = (
        GrpcMetrics(endpoint=otelcol.grpc, insecure=True)
        if over == "grpc"
        else HttpMetrics(endpoint=f"{otelcol.http}/v1/metrics")
    )
    provider = MeterProvider(
        metric_readers=[PeriodicExportingMetricReader(exporter, export_interval_millis=600_000)],
        resource=Resource.create({"service.name": "test-parts", "otel_llm.run.id": run}),
        views=[View(instrument_name="*", aggregation=ExponentialBucketHistogramAggregation())],
    )
    values = [0.05 * 1.002**n for n in range(COUNT)]
    histogram = provider.get_meter("tests").create_histogram("test.latency", unit="s")
    for value in values:
        histogram.record(value)
    provider.shutdown()

    series = f'test_latency_seconds{{otel_llm_run_id="{run}"}}'
    assert until(lambda: prometheus.query(f"histogram_count({series})"), ARRIVES_S), otelcol.log_tail()
    assert value_of(prometheus, f"histogram_count({series})") == COUNT
    assert value_of(prometheus, f"histogram_sum({series})") == pytest.approx(sum(values))
    assert value_of(prometheus, f"histogram_quantile(0.5, {series})") == pytest.approx(
        statistics.median(values), rel=0.05
    )


def value_of(prometheus: Prometheus, expression: str) -> float:
    (sample,) = prometheus.query(expression)
    return float(sample["value"][1])


@pytest.mark.parametrize("over", ["grpc", "http"])
def test_span_comes_back(over: str, otelcol: Collector, jaeger: Jaeger) -> None:
    exporter: SpanExporter = (
        GrpcSpans(endpoint=otelcol.grpc, insecure=True)
        if over == "grpc"
        else HttpSpans(endpoint=f"{otelcol.http}/v1/traces")
    )
    provider = TracerProvider(resource=Resource.create({"service.name": "test-parts"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("tests").start_as_current_span("chat test-model", attributes={"answer": 42}) as span:
        trace_id = format(span.get_span_context().trace_id, "032x")
    provider.shutdown()

    (stored,) = until(lambda: jaeger.spans(trace_id), ARRIVES_S)
    assert stored["operationName"] == "chat test-model"
    assert {"key": "answer", "type": "int64", "value": 42} in stored["tags"]


def test_jaeger_stops_in_time_after_queries_and_sends_no_traces_of_its_own(
    real_program: Callable[[str], Path], tmp_path: Path
) -> None:
    with Jaeger(real_program("jaeger"), tmp_path) as jaeger:
        assert jaeger.spans("0" * 31 + "1") == []
        assert jaeger.stop() == 0, jaeger.log_tail()
    assert "4317" not in jaeger.log.read_text()


def test_sim_streams_at_its_known_pace(inference_sim: InferenceSim) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", inference_sim.port, timeout=20)
    body = {
        "model": inference_sim.model,
        "messages": [{"role": "user", "content": "Say something long."}],
        "stream": True,
        "max_tokens": 20,
        "ignore_eos": True,
    }
    sent = time.monotonic()
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200
    arrivals, lines = [], 0
    while (line := answer.readline()) and (lines := lines + 1) < 200:
        if b'"content":"' in line and b'"content":""' not in line:
            arrivals.append(time.monotonic())
    connection.close()

    assert len(arrivals) == 20
    assert arrivals[0] - sent == pytest.approx(0.100, abs=0.05)
    gaps = [later - earlier for earlier, later in itertools.pairwise(arrivals)]
    assert statistics.median(gaps) == pytest.approx(0.020, rel=0.25)


@pytest.fixture
def stack(real_program: Callable[[str], Path], tmp_path: Path) -> subprocess.Popen[str]:
    """`python -m tools stack`, ready."""
    for name in ("prometheus", "jaeger", "otelcol"):
        real_program(name)
    process = subprocess.Popen(
        [sys.executable, "-m", "tools", "stack", "--data", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("next: "):
            break
    assert said[-1].startswith("next: otel-llm perf"), "".join(said)
    return process


def children(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stack_stops_with_no_process_left(how: signal.Signals, stack: subprocess.Popen[str]) -> None:
    parts = children(stack.pid)
    assert len(parts) == 4  # the live page too
    stack.send_signal(how)
    output, _ = stack.communicate(timeout=30)
    assert stack.returncode == 0, output
    assert not [pid for pid in parts if exists(pid)]


def test_stack_ends_when_a_part_dies(stack: subprocess.Popen[str]) -> None:
    parts = children(stack.pid)
    os.kill(parts[0], signal.SIGKILL)
    output, _ = stack.communicate(timeout=30)
    assert stack.returncode == 1
    assert "expected prometheus to run, got exit status -9" in output
    assert not [pid for pid in parts if exists(pid)]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends the parts of a killed stack on Linux alone")
def test_killed_stack_leaves_no_process(stack: subprocess.Popen[str]) -> None:
    parts = children(stack.pid)
    stack.kill()
    stack.communicate(timeout=30)
    assert until(lambda: not [pid for pid in parts if exists(pid)], 10.0)
