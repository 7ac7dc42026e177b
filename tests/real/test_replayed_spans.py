"""What an application's spans say it asked, by way of a real Collector's `file` exporter, is asked again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from otel_llm.load.traces.opening import open_trace
from otel_llm.sim import Behaviour, SimServer
from otel_llm.sinks.stored_run import read_records
from tests.load.conftest import Perf
from tools.services import Collector
from tools.waiting import until

FILE_EXPORTER = """
receivers: {otlp: {protocols: {grpc: {endpoint: "${env:COLLECTOR_OTLP_GRPC}"}}}}
exporters: {file: {path: "${env:SPANS_FILE}"}}
extensions: {health_check: {endpoint: "${env:COLLECTOR_HEALTH}"}}
service:
  extensions: [health_check]
  telemetry: {metrics: {level: none}}
  pipelines: {traces: {receivers: [otlp], exporters: [file]}}
"""


@pytest.mark.timeout(120)
def test_requests_go_out_again_as_their_spans_tell(
    real_program: Callable[[str], Path], perf: Callable[..., Perf], tmp_path: Path
) -> None:
    config, spans = tmp_path / "file.yaml", tmp_path / "spans.jsonl"
    config.write_text(FILE_EXPORTER)
    told = {"SPANS_FILE": str(spans)}
    with (
        Collector(real_program("otelcol"), tmp_path / "otelcol", config=(config,), variables=told) as collector,
        SimServer(Behaviour()) as sim,
    ):
        shared = "--url", sim.url, "--model", "m", "--otlp-endpoint", collector.grpc
        lengths = "--input-tokens", "uniform:5..60", "--output-tokens", "uniform:2..9"
        first = perf(*shared, *lengths, "-n", "40", "--rate", "100")
        assert first.code == 0, first.err
        assert until(lambda: spans.exists() and spans.read_text().count('"traceId"') == 40, 20), collector.log_tail()
        recorded = sorted(read_records(first.run_file), key=lambda record: record.sent_ns)
        first.run_file.unlink()
        again = perf("--url", sim.url, "--model", "m", "--trace", str(spans))
        assert again.code == 0, again.err
        assert "replayed spans.jsonl: 40 requests" in again.out

    trace = open_trace(spans)
    said = [(asked.input_tokens, asked.output_tokens) for asked in map(trace.asked, range(len(trace)))]
    assert said == [(record.input_tokens, record.output_tokens) for record in recorded]
    sent = np.array([record.sent_ns for record in recorded])
    assert np.abs(trace.at_ns - (sent - sent[0])).max() < 1_000_000, "two clocks, read one after the other"
    replayed = sorted(read_records(again.run_file), key=lambda record: record.index or 0)
    assert [record.output_tokens for record in replayed] == [tokens for _, tokens in said]
    intended = np.array([record.intended_ns or 0 for record in replayed])
    assert (intended - intended[0] == trace.at_ns - trace.at_ns[0]).all()
