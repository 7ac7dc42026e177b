"""The JSON report against its published schema, and its document against the code."""

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from otel_llm.load.figures.enough import values_needed
from otel_llm.testing import OtlpReceiver
from tests.load.conftest import Perf
from tests.load.test_perf import chat, wait_until
from tests.truthserver.process import TruthServer

DOCS = Path(__file__).parent.parent.parent / "docs"
SCHEMA: dict[str, Any] = json.loads((DOCS / "report.schema.json").read_text("utf-8"))
Run = Callable[..., Perf]


def check(report: dict[str, Any]) -> None:
    jsonschema.validate(report, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        check({"schema": 1})


@pytest.mark.parametrize(
    ("knobs", "arguments", "code"),
    [
        ("itl_ms=1", ["-n", "5"], 0),
        ("itl_ms=1", ["-n", "40", "--rate", "200", "--slo", "ttft=5", "--warmup", "2"], 0),
        ("itl_ms=1;fault=500;fault_rate=0.4;seed=2", ["-n", "20", "--rate", "-1", "--max-concurrency", "3"], 1),
        ("fault=500", ["-n", "30", "--max-errors", "2"], 1),
        ("itl_ms=1;usage=never", ["--no-stream", "--duration", "0.3"], 0),
        ("itl_ms=1;usage=never", ["-n", "3", "--no-content"], 0),
    ],
)
def test_reports_are_of_the_schema(
    knobs: str, arguments: list[str], code: int, perf: Run, truth: TruthServer
) -> None:  # fmt: skip
    run = perf(*chat(truth, knobs), *arguments)
    assert run.code == code, run.err
    check(run.report)


def test_a_report_with_telemetry_is(perf: Run, truth: TruthServer) -> None:
    with OtlpReceiver() as back:
        run = perf(*chat(truth, "itl_ms=1"), "--otlp-endpoint", back.grpc_endpoint)
    check(run.report)
    assert run.report["telemetry"]["spans"]["exported"] == 1


def test_a_report_of_a_server_that_is_down_and_of_a_run_that_was_interrupted_is(perf: Run, truth: TruthServer) -> None:
    """The report of a run that was broken off fits the schema, too. (S4.44)"""
    down = perf("--url", "http://127.0.0.1:9/v1/chat/completions", "--model", "m", "--prompt", "x", "-n", "5")
    check(down.report)
    run = perf.start(*chat(truth, "ttft_ms=50;itl_ms=20"), "--rate", "100", "-n", "4000")  # type: ignore[attr-defined]
    wait_until(lambda: truth.stats()["requests"] > 20)
    run.signal(signal.SIGINT)
    run.wait()
    check(run.report)
    assert run.report["ended_by"] == "interrupted"
    # those whose moment had not come are not held against the server
    assert run.report["measures"]["corrected_request_latency"]["count"] < 400


def test_the_page_names_every_key_and_the_numbers_that_are_so() -> None:
    text = (DOCS / "report.md").read_text("utf-8")
    for key in SCHEMA["required"]:
        assert f"`{key}`" in text or key in ("schema", "run") or key.endswith("_throughput"), key
    for q, count in ((50, "40"), (90, "100"), (99, "1,000"), (99.9, "10,000")):
        assert re.search(rf"p{q}( takes)? {count}\b", text)
        assert values_needed(q) == int(count.replace(",", ""))
