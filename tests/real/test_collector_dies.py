"""The Collector is killed in the middle of a run: the run goes on, and the ledger says what became of its telemetry."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_llm.record import StreamRecord
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.stored_run import read_records, read_run
from tests.load.conftest import Perf
from tests.real.stored import ARRIVES_S, TTFT, Stored
from tools.services import Collector, Jaeger, Prometheus
from tools.waiting import until

pytestmark = pytest.mark.timeout(90)

Run = Callable[..., Perf]

REQUESTS, RATE, TOKENS = 400, 40, 8


@pytest.fixture
def mortal(
    real_program: Callable[[str], Path], prometheus: Prometheus, jaeger: Jaeger, tmp_path: Path
) -> Iterator[Collector]:
    """A Collector for the test alone, between the stores of the session, which soon decides what spans it keeps."""
    soon = {"TRACES_DECISION_WAIT": "1s"}
    executable, data = real_program("otelcol"), tmp_path / "otelcol"
    with Collector(executable, data, prometheus=prometheus, jaeger=jaeger, variables=soon) as part:
        yield part


@pytest.fixture
def sim() -> Iterator[SimProcess]:
    with SimProcess(Behaviour(ttft_ms=20, itl_ms=5, tokens=TOKENS)) as process:
        yield process


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports every second, each given up after one: an outage of seconds then costs something."""
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "1000")  # milliseconds
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "500")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")  # seconds


def begin(perf: Run, sim: SimProcess, collector: Collector, protocol: str) -> Perf:
    """Start a run of 10 s and come back in its middle, when telemetry flows."""
    endpoint = collector.grpc if protocol == "grpc" else collector.http
    run = perf.start(
        *("--url", f"{sim.url}/v1/chat/completions", "--model", "m", "--prompt", "x"),
        *("--rate", str(RATE), "-n", str(REQUESTS)),
        *("--otlp-endpoint", endpoint, "--otlp-protocol", protocol),
    )  # fmt: skip
    assert until(lambda: sim.stats()["requests"] > REQUESTS // 4, 30)
    return run


def run_is_whole(run: Perf) -> dict[str, Any]:
    """What the user asked for is done and written, whatever became of the telemetry; returns the ledger."""
    assert run.code == 0, run.err
    report = run.report
    assert report["requests"]["succeeded"] == REQUESTS
    assert report["tokens"]["output"] == REQUESTS * TOKENS
    assert sorted(record.index for record in read_records(run.run_file)) == list(range(REQUESTS))
    assert read_run(run.run_file)["summary"]["telemetry"] == report["telemetry"]
    for name, tally in report["telemetry"].items():
        print(name, tally)
        assert tally["recorded"] == tally["exported"] + tally["dropped"], name
    assert report["telemetry"]["spans"]["recorded"] == REQUESTS
    ledger: dict[str, Any] = report["telemetry"]
    return ledger


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_killed_and_started_again(
    protocol: str, perf: Run, sim: SimProcess, mortal: Collector, prometheus: Prometheus, jaeger: Jaeger
) -> None:
    run = begin(perf, sim, mortal, protocol)
    mortal.kill()
    died_at = sim.stats()["requests"]
    assert until(lambda: sim.stats()["requests"] > died_at + 3 * RATE, 30)
    mortal.start()
    run.wait()
    ledger = run_is_whole(run)
    spans = ledger["spans"]
    assert 0 < spans["dropped"] < REQUESTS
    assert ledger["metric_points"]["dropped"] > 0

    stored = Stored(prometheus, run.report["run"]["id"])
    # cumulative: the last export holds everything, also what no earlier one could deliver
    assert stored.arrived(TTFT, REQUESTS), mortal.log_tail()
    assert stored.count(TTFT) == REQUESTS
    records = list(read_records(run.run_file))
    least = spans["exported"] - 3 * RATE  # it had not decided on some, or was about to send them
    kept = until(lambda: kept_of(jaeger, records, least), ARRIVES_S)
    print(f"{kept} spans in Jaeger of {spans['exported']} exported: the others died in the Collector")
    assert least <= kept <= spans["exported"]


def kept_of(jaeger: Jaeger, records: list[StreamRecord], least: int) -> int:
    """How many of the requests have their span in Jaeger, 0 while there are too few."""
    kept = sum(bool(jaeger.spans(record.trace_id or "")) for record in records)
    return kept if kept >= least else 0


def test_killed_for_good(perf: Run, sim: SimProcess, mortal: Collector) -> None:
    run = begin(perf, sim, mortal, "grpc")
    mortal.kill()
    run.wait()
    ledger = run_is_whole(run)
    assert ledger["spans"]["dropped"] > REQUESTS // 2
    assert ledger["spans"]["exported"] > 0
    assert ledger["metric_points"]["dropped"] > 0
