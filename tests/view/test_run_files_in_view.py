"""A run file on the page, also while it grows: the figures are those of its report."""

import re
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from otel_llm.errors import ConfigError
from otel_llm.sinks.stored_run import read_records
from otel_llm.view.answers import Answers, Wanted
from otel_llm.view.run_file import RunFileSource
from tests.load.conftest import Perf
from tests.load.test_perf import chat
from tests.truthserver.process import TruthServer

KNOBS = "ttft_ms=15;itl_ms=2;tokens=8;jitter=lognormal;amp=0.5;fault=500;fault_rate=0.1;seed=4"


def test_figures_are_those_of_the_report_and_a_request_has_its_tokens(truth: TruthServer, tmp_path: Path) -> None:
    run = Perf(tmp_path).start(*chat(truth, KNOBS), "-n", "80", "--parallel", "4")
    assert run.wait().code == 1, run.err  # more than one in a hundred failed
    answers = Answers([RunFileSource(run.run_file)])
    found = answers.overview(Wanted(None), "first_token")
    measures, requests = run.report["measures"], run.report["requests"]
    assert (found["total"]["requests"], found["total"]["failed"]) == (requests["sent"], requests["failed"])
    for ours, theirs in (
        ("first_token", "time_to_first_token"), ("between_tokens", "inter_token_latency"),
        ("per_token", "time_per_output_token"), ("duration", "request_latency"),
    ):  # fmt: skip
        row = found["total"]["measures"][ours]
        assert row["from"] == "calls"
        assert row["count"] == measures[theirs]["count"]
        for name in ("p50", "p90", "p99"):
            assert row[name] == pytest.approx(measures[theirs][name], rel=1e-9)
    (error,) = answers.errors(Wanted(None))
    assert (error["error"], error["count"]) == ("500", requests["failed"])
    slowest = answers.calls(Wanted(None), "slowest")["calls"][0]
    shown = answers.trace(str(slowest["call"]))
    record = max(
        (each for each in read_records(run.run_file) if each.ok), key=lambda each: each.ended_ns - each.sent_ns
    )
    assert shown is not None
    assert shown["trace_id"] == record.trace_id
    assert answers.trace(str(record.trace_id)) == shown
    assert len(shown["spans"][0]["chunks"]) == len(record.chunks)


def test_what_is_no_run_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        RunFileSource(tmp_path / "none.db")


def test_a_run_is_shown_while_it_goes_on_in_a_process_that_leaves_with_it(truth: TruthServer, tmp_path: Path) -> None:
    growing = RunFileSource(tmp_path / "run.db", wait=True)
    run = Perf(tmp_path).start(*chat(truth, "ttft_ms=15;itl_ms=2;tokens=8"), "-n", "120", "--view")
    seen = set()
    assert run.process is not None
    while run.process.poll() is None:
        growing.refresh()
        seen.add(len(growing.calls.look().rows))
        time.sleep(0.05)
    assert run.wait().code == 0, run.err
    growing.refresh()
    assert len(growing.calls.look().rows) == 120
    assert len(seen) > 2, "more came while the run went on"
    (url,) = re.findall(r"^page  (http://127\.0\.0\.1:\d+/)$", run.err, re.MULTILINE)
    assert re.search(r"^OTLP  http://127\.0\.0\.1:\d+ \(gRPC\)", run.err, re.MULTILINE)
    assert "view" not in run.report["run"]["arguments"]
    for _ in range(200):  # nobody looks at it
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, ConnectionError):
            break
        time.sleep(0.1)
    else:
        pytest.fail(f"{url} is still there")
