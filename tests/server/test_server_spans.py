"""`report --server-spans`: times that a server says in its spans, found again by the trace they belong to."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from otel_llm.errors import ConfigError
from otel_llm.load.server.spans import ServerSpans
from otel_llm.record import ServerTimes, StreamRecord
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.stored_run import read_records
from otel_llm.testing import timeline
from tests.load.conftest import Perf
from tests.load.conftest import perf as perf  # a fixture

VLLM = {
    "gen_ai.latency.time_to_first_token": 0.5, "gen_ai.latency.e2e": 1.5, "gen_ai.latency.time_in_queue": 0.25,
    "gen_ai.latency.time_in_model_prefill": 0.125, "gen_ai.latency.time_in_model_decode": 1.0,
    "gen_ai.latency.time_in_model_inference": 1.125,
}  # fmt: skip
SGLANG = {name: value for name, value in VLLM.items() if name != "gen_ai.latency.time_in_queue"}
OF_VLLM = ServerTimes(source=("spans",), queue=0.25, prefill=0.125, first_token=0.5, decode=1.0, total=1.5)
OF_SGLANG = ServerTimes(source=("spans",), first_token=0.5, decode=1.0, total=1.5)
RECORD = timeline("r.......a|")


def line(*spans: tuple[str, dict[str, Any]]) -> str:
    """One line of the Collector's file exporter."""
    made = [
        {
            "traceId": trace, "spanId": f"{number:016x}", "name": "llm_request", "startTimeUnixNano": "1",
            "attributes": [{"key": key, "value": {"doubleValue": value}} for key, value in said.items()],
        }
        for number, (trace, said) in enumerate(spans, 1)
    ]  # fmt: skip
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": made}]}]}) + "\n"


def spans_in(folder: Path, *lines: str) -> ServerSpans:
    path = folder / "spans.jsonl"
    path.write_text("".join(lines))
    return ServerSpans(path)


def of_trace(trace: str, **more: Any) -> StreamRecord:
    return msgspec.structs.replace(RECORD, trace_id=trace, **more)


def test_each_engine_s_span_is_read_for_what_it_is(tmp_path: Path) -> None:
    spans = spans_in(tmp_path, line(("a" * 32, VLLM), ("b" * 32, SGLANG)), line(("c" * 32, {"other": 1.0})))
    found = spans.add_to(map(of_trace, ("a" * 32, "b" * 32, "c" * 32)))
    assert [record.server for record in found] == [OF_VLLM, OF_SGLANG, None]


def test_what_the_answer_said_counts_before_the_span(tmp_path: Path) -> None:
    said = ServerTimes(source=("vllm",), queue=0.75)
    (found,) = spans_in(tmp_path, line(("a" * 32, VLLM))).add_to([of_trace("a" * 32, server=said)])
    assert found.server is not None
    assert (found.server.source, found.server.queue, found.server.prefill) == (("vllm", "spans"), 0.75, 0.125)


def test_of_two_requests_in_one_trace_neither_is_taken(tmp_path: Path) -> None:
    spans = spans_in(tmp_path, line(("a" * 32, VLLM), ("b" * 32, VLLM)), line(("a" * 32, VLLM)))
    found = spans.add_to([of_trace("a" * 32), of_trace("b" * 32)])
    assert [record.server for record in found] == [None, OF_VLLM]


def test_a_file_of_the_live_page_is_read_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "what?mode=rw#1%20.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE span (trace_id TEXT, said TEXT)")
        db.execute("INSERT INTO span VALUES (?, ?)", ("a" * 32, json.dumps({"attributes": VLLM})))
    (found,) = ServerSpans(path).add_to([of_trace("a" * 32)])
    assert found.server == OF_VLLM


def test_spans_of_others_are_said_to_be_that(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected spans with gen_ai\.latency\.\* in .*; have the server trace"):
        spans_in(tmp_path, line(("a" * 32, {"other": 1.0})))
    with pytest.raises(ConfigError, match=r"expected spans of this run in .*; name its own file"):
        list(spans_in(tmp_path, line(("a" * 32, VLLM))).add_to([of_trace("b" * 32)]))
    with pytest.raises(ConfigError, match="a readable file of spans"):
        ServerSpans(tmp_path / "none")


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with SimProcess(Behaviour(ttft_ms=20, itl_ms=1, tokens=3)) as server:
        yield server


def report(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otel_llm.cli", "report", *words], capture_output=True, text=True, timeout=100
    )


def test_the_report_of_a_run_is_made_with_them(perf: Any, sim: SimProcess, tmp_path: Path) -> None:
    done: Perf = perf.start("--url", f"{sim.url}/v1/chat/completions", "--model", "m", "--prompt", "hi", "-n", "6")
    assert done.wait(timeout_s=300).code == 0
    records = list(read_records(done.run_file))
    spans, out = tmp_path / "spans.jsonl", tmp_path / "with.json"
    said = {"gen_ai.latency.time_in_queue": 0.002, "gen_ai.latency.time_in_model_prefill": 0.004}
    spans.write_text("".join(line((str(record.trace_id), said)) for record in records))
    made = report(str(done.run_file), "--server-spans", str(spans), "--json", str(out))
    assert made.returncode == 0, made.stderr
    assert "as said by spans of 6 answers" in made.stdout
    found, before = json.loads(out.read_text()), done.report
    assert found["first_token"]["mean"]["queue"] == pytest.approx(0.002)
    assert found["measures"]["server_prefill"]["count"] == 6
    changed = ("first_token", "tail", "measures")
    assert {name: value for name, value in found.items() if name not in changed} == {
        name: value for name, value in before.items() if name not in changed
    }
    refused = report(str(done.run_file), "--server-spans", str(tmp_path / "none"))
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
