"""From a measured stream to the answer of a query: OTLP, Collector, Prometheus and Jaeger, none of them ours."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otel_llm import conventions
from otel_llm.measures import MEASURES, Facts, max_inter_token_latency, time_per_output_token, time_to_first_token
from otel_llm.record import StreamRecord
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.stored_run import read_records
from otel_llm_collector.vocabulary.prometheus_names import series_for
from tests.load.conftest import Perf
from tests.real.running import App
from tests.real.stored import ARRIVES_S, ITL, QUANTILES, TTFT, Stored
from tools.services import Collector, Jaeger, Prometheus
from tools.waiting import until

pytestmark = pytest.mark.timeout(120)

Run = Callable[..., Perf]

REQUESTS, TOKENS = 3000, 10
ATTEMPTS = 3  # on a machine that falls asleep, stamps come in lumps, and a bucket does not say where in it they lie
JITTERED = Behaviour(ttft_ms=40, itl_ms=6, jitter="lognormal", amp=0.5, tokens=TOKENS)
"""As uneven as a busy server, so that a percentile that is off by a bucket shows."""


def asked(sim: SimProcess, otelcol: Collector, protocol: str) -> list[str]:
    endpoint = otelcol.grpc if protocol == "grpc" else otelcol.http
    return [
        *("--url", f"{sim.url}/v1/chat/completions", "--model", "tiny", "--prompt", "hello"),
        *("--otlp-endpoint", endpoint, "--otlp-protocol", protocol),
    ]  # fmt: skip


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_query_gives_what_the_report_says(
    protocol: str, perf: Run, otelcol: Collector, prometheus: Prometheus, jaeger: Jaeger
) -> None:
    for _ in range(ATTEMPTS):
        with SimProcess(JITTERED) as sim:
            run = perf(*asked(sim, otelcol, protocol), "--parallel", "40", "-n", str(REQUESTS))
        assert run.code == 0, run.err
        stored = Stored(prometheus, run.report["run"]["id"])
        assert stored.arrived(TTFT, REQUESTS), otelcol.log_tail()
        records = list(read_records(run.run_file))
        counts_are_those_of_the_report(stored, run.report)
        exemplars_lead_to_their_spans(stored, jaeger, {record.trace_id: record for record in records})
        missed = percentiles_that_differ(stored, run.report["measures"], records)
        if not missed:
            return
    pytest.fail("\n".join(missed))


def counts_are_those_of_the_report(stored: Stored, report: dict[str, Any]) -> None:
    measures = report["measures"]
    for name, measure in ((TTFT, "time_to_first_token"), (ITL, "inter_token_latency")):
        assert stored.count(name) == measures[measure]["count"]
        mean = measures[measure]["mean"]
        assert stored.total(name) / stored.count(name) == pytest.approx(mean, rel=1e-9)
    assert measures["time_to_first_token"]["count"] == REQUESTS
    assert measures["inter_token_latency"]["count"] == REQUESTS * (TOKENS - 1)
    assert stored.total(series_for("token_usage"), gen_ai_token_type="output") == report["tokens"]["output"]


def percentiles_that_differ(stored: Stored, measures: dict[str, Any], records: list[StreamRecord]) -> list[str]:
    """Of a query from those of the report, which are those of the run file."""
    missed = []
    for name, measure in ((TTFT, "time_to_first_token"), (ITL, "inter_token_latency")):
        values = next(m for m in MEASURES if m.name == measure).values(Facts.of(*records))
        said = {q: measures[measure][f"p{q}"] for q in QUANTILES}
        assert said == pytest.approx({q: float(np.percentile(values, q)) for q in QUANTILES})
        missed += stored.misses(name, values)
    return missed


def exemplars_lead_to_their_spans(stored: Stored, jaeger: Jaeger, by_trace: dict[str | None, StreamRecord]) -> None:
    """Each exemplar's trace is in Jaeger, and is the request that the run file has under that id."""
    for name, at_most in ((TTFT, 5), (ITL, 5)):
        exemplars = until(lambda name=name: stored.exemplars(name), ARRIVES_S)
        assert exemplars
        for exemplar in exemplars[:at_most]:
            trace_id = exemplar["labels"]["trace_id"]
            record, span = by_trace[trace_id], span_of(jaeger, trace_id)
            assert span["spanID"] == exemplar["labels"]["span_id"] == record.span_id
            tags_are_those_of(record, {tag["key"]: tag["value"] for tag in span["tags"]})
            if name == TTFT:
                assert float(exemplar["value"]) == pytest.approx(tag_of(span, conventions.TIME_TO_FIRST_TOKEN))


def span_of(jaeger: Jaeger, trace_id: str) -> dict[str, Any]:
    spans = until(lambda: jaeger.spans(trace_id), ARRIVES_S)
    (span,) = spans
    assert span["operationName"] == "chat tiny"
    assert span["duration"] > 0
    found: dict[str, Any] = span
    return found


def tag_of(span: dict[str, Any], key: str) -> Any:
    return next(tag["value"] for tag in span["tags"] if tag["key"] == key)


def tags_are_those_of(record: StreamRecord, tags: dict[str, Any]) -> None:
    assert tags["span.kind"] == "client"
    expected = {
        conventions.OPERATION_NAME: "chat",
        conventions.REQUEST_MODEL: "tiny",
        conventions.REQUEST_STREAM: True,
        conventions.USAGE_OUTPUT_TOKENS: TOKENS,
        conventions.STREAM_OUTCOME: "complete",
        conventions.TOKEN_SOURCE: "provider",
        conventions.REQUEST_INDEX: record.index,
        conventions.TIME_TO_FIRST_TOKEN: time_to_first_token(record),
        conventions.TPOT: time_per_output_token(record),
        conventions.ITL_MAX: max_inter_token_latency(record),  # None, and no tag, when one read brought everything
    }
    assert {key: tags.get(key) for key in expected} == expected


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_query_gives_what_a_decorated_call_measured(
    protocol: str, otelcol: Collector, prometheus: Prometheus, jaeger: Jaeger, tmp_path: Path
) -> None:
    """`otel_llm.configure()` in the application, and the environment says where to."""
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": otelcol.grpc if protocol == "grpc" else otelcol.http,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
    }
    calls, tokens = 60, 60
    for attempt in range(ATTEMPTS):
        (folder := tmp_path / str(attempt)).mkdir()
        with App(folder, "configure", calls, tokens, pause_ms=2) as app:
            app.start(env=settings)
            said = app.finish()
        assert not said
        stored = Stored(prometheus, app.run_id)
        assert stored.arrived(TTFT, calls), otelcol.log_tail()
        for name, measured, count in ((TTFT, "ttft", calls), (ITL, "itl", calls * (tokens - 1))):
            assert stored.count(name) == len(app.measured[measured]) == count
            assert stored.total(name) == pytest.approx(sum(app.measured[measured]), rel=1e-9)
        assert stored.count(series_for("operation_duration")) == calls
        exemplars_lead_to_calls(stored, jaeger, app)
        missed = stored.misses(ITL, app.measured["itl"])
        if not missed:
            return
    pytest.fail("\n".join(missed))


def exemplars_lead_to_calls(stored: Stored, jaeger: Jaeger, app: App) -> None:
    for exemplar in until(lambda: stored.exemplars(ITL), ARRIVES_S):
        span = span_of(jaeger, exemplar["labels"]["trace_id"])
        tags = {tag["key"]: tag["value"] for tag in span["tags"]}
        assert span["spanID"] == exemplar["labels"]["span_id"]
        assert (tags["span.kind"], tags[conventions.STREAM_OUTCOME]) == ("internal", "complete")
        assert any(tags[conventions.TIME_TO_FIRST_TOKEN] == pytest.approx(first) for first in app.measured["ttft"])
        assert float(exemplar["value"]) <= tags[conventions.ITL_MAX] * 1.000001


@pytest.mark.parametrize("histograms", ["exponential", "explicit"])
def test_a_run_that_exports_only_once_is_not_lost(
    histograms: str, perf: Run, otelcol: Collector, prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five seconds, one export at the end: `rate` has a beginning to count from all the same."""
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "60000")
    behaviour = Behaviour(ttft_ms=20, itl_ms=2, tokens=8)
    with SimProcess(behaviour) as sim:
        arguments = ["--rate", "50", "-n", "250", "--histograms", histograms]
        started = time.monotonic()
        run = perf(*asked(sim, otelcol, "grpc"), *arguments)
        took = time.monotonic() - started
    assert run.code == 0, run.err
    assert 4 < run.report["duration"] < 8
    stored = Stored(prometheus, run.report["run"]["id"])
    native = histograms == "exponential"
    series = stored.series(TTFT if native else f"{TTFT}_count")
    assert until(lambda: prometheus.query(series), ARRIVES_S), otelcol.log_tail()
    count = (lambda vector: f"histogram_count({vector})") if native else (lambda vector: vector)
    assert stored.value(count(series)) == 250
    exemplars = until(lambda: stored.exemplars(TTFT if native else f"{TTFT}_bucket"), ARRIVES_S)
    traces = {record.trace_id for record in read_records(run.run_file)}
    assert exemplars
    assert {exemplar["labels"]["trace_id"] for exemplar in exemplars} <= traces
    for function in ("increase", "rate"):
        seconds = 1 if function == "increase" else 300
        found = stored.value(count(f"{function}({series}[5m])")) * seconds
        print(f"{function} over 5 minutes, of a run of {took:.1f} s: {found:.1f} of 250")
        assert 249 < found < 1.6 * 250  # from the last sample on, Prometheus goes on at the same pace for a while
