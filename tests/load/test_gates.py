"""What fails a run in CI: gates, the rule on errors, exit codes, JUnit XML and annotations."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from otel_llm.errors import ConfigError
from otel_llm.load.figures.gates import FIGURES, TOLERATED, Gate, judge, parse_gates
from otel_llm.load.figures.slo import parse_term
from otel_llm.load.show.ci import annotations, verdicts, write_junit
from tests.load.conftest import Perf
from tests.load.test_perf import chat
from tests.truthserver.process import TruthServer

Run = Callable[..., Perf]
DOCS = Path(__file__).parents[2] / "docs"


def report(**more: Any) -> dict[str, Any]:
    """Return the part of a report that gates look at: 3 of 100 failed, times of 0.2 s, tokens of 64."""
    names = ("time_to_first_token", "inter_token_latency", "time_per_output_token", "request_latency")
    measures = {name: {"count": 97, "mean": 0.2, "p99": 0.2, "p99.9": 0.2, "max": 0.2, "min": 0.2} for name in names}
    for name in ("corrected_time_to_first_token", "corrected_request_latency"):
        measures[name] = {"count": 0, "mean": None, "p99": None, "max": None, "min": None}
    measures["output_tokens"] = {"count": 97, "mean": 64.0, "p99": 64.0, "max": 64.0, "min": 64.0}
    return {
        "requests": {"succeeded": 97, "failed": 3, "planned": 100},
        "slo": {"goodput": 40.0, "required_attainment": 0.99, "terms": {"ttft": {"limit": 0.3, "attainment": 0.97}}},
        "request_throughput": 50.0,
        "output_token_throughput": 3200.0,
        "measures": measures,
        "duration": 2.0,
        "run": {"name": "r<1>\x1b", "started_at": "2026-11-27T12:00:00.5+00:00"},
        "client": {"saturated": False, "reasons": []},
        **more,
    }


@pytest.mark.parametrize(
    ("text", "fails", "shown"),
    [
        ("error_rate>1%", True, "3.00%"), ("error_rate>3%", False, "3.00%"), ("error_rate>=3%", True, "3.00%"),
        ("error_rate>0.05", False, "3.00%"), ("goodput<50", True, "40/s"), ("goodput<40", False, "40/s"),
        ("goodput<=40/s", True, "40/s"), ("attainment<99%", True, "97.00%"), ("request_throughput<50", False, "50/s"),
        ("output_token_throughput<4000", True, "3,200/s"), ("p99_ttft>500ms", False, "200 ms"),
        (" p99_ttft > 0.1 ", True, "200 ms"), ("mean_itl>=200ms", True, "200 ms"), ("max_latency>1s", False, "200 ms"),
        ("p99.9_tpot>199.9ms", True, "200 ms"), ("p99_request_latency>201ms", False, "200 ms"),
        ("mean_output_tokens<100", True, "64"),
    ],
)  # fmt: skip
def test_a_gate_fails_when_it_is_so(text: str, fails: bool, shown: str) -> None:
    *_, gate = parse_gates([text], slo=True)
    (judged,) = judge([gate], report())
    assert (judged["failed"], judged["shown"]) == (fails, shown)


def test_what_no_answer_has_passes_no_gate() -> None:
    without = report()
    without["measures"]["time_to_first_token"] |= {"count": 0, "p99": None}
    for text in ("p99_ttft>1s", "p99_ttft<1s"):
        (judged,) = judge(parse_gates([text], slo=False)[1:], without)
        assert (judged["failed"], judged["value"], judged["shown"]) == (True, None, "no value")


def test_in_an_open_loop_time_counts_from_the_intended_moment_and_the_unanswered_are_beyond_any_limit() -> None:
    late = report()
    late["measures"]["corrected_time_to_first_token"] = {"count": 100, "p99": None, "mean": None, "infinite": 3}
    late["measures"]["corrected_request_latency"] = {"count": 100, "p99": 0.9}
    _, first, low, last = parse_gates(["p99_ttft>1h", "p99_ttft<1s", "p99_latency>500ms"], slo=False)
    judged = judge([first, low, last], late)
    assert [(each["failed"], each["shown"]) for each in judged] == [(True, "∞"), (False, "∞"), (True, "900 ms")]


def test_a_gate_on_errors_takes_the_place_of_the_rule_on_errors() -> None:
    assert parse_gates([], slo=False) == (TOLERATED,)
    assert parse_gates(["p99_ttft>1s"], slo=False)[0] is TOLERATED
    assert parse_gates(["error_rate>5%"], slo=False) == (Gate("error_rate>5%", "error_rate", ">", 0.05),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("error_rate", "quote it"), ("", "quote it"), ("p99_ttft=1s", "quote it"),
        ("eror_rate>1%", "did you mean error_rate?"), ("ttft_p99>1s", "did you mean p99_ttft?"),
        ("p99_tftt>1s", "did you mean p99_ttft"),
        ("time_to_first_token_p90>1", "did you mean p90_time_to_first_token?"),
        ("p97_ttft>1s", "did you mean"), ("speed>1", "docs/gates.md"), ("p99_ttft>1%", "'1%'"),
        ("p99_ttft>soon", "expected seconds"), ("error_rate>1ms", "a share"), ("goodput<fast", "could not convert"),
        ("p99_ttft>nan", "finite"), ("error_rate>inf", "finite"),
        ("p99_ttft>500", "without a unit it is 500 seconds: write 500ms or 500s"), ("mean_itl>30", "write 30ms or 30s"),
        ("p90_time_per_output_token>50", "write 50ms"), ("error_rate>5", "write 5%"),
        ("attainment<101%", "at most 100%"),
    ],
)  # fmt: skip
def test_what_is_no_gate_is_said_with_what_may_be_meant(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_gates([text], slo=True)
    assert words in str(caught.value)


def test_goodput_needs_to_know_what_is_good() -> None:
    with pytest.raises(ConfigError, match="expected --slo with --fail-if goodput"):
        parse_gates(["goodput<5"], slo=False)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("p99_ttft=1s", "ttft"), ("e2e=1s", "latency"), ("itl=50ms", "itl_p99"), ("tfft=1", "ttft"), ("tp0t=1", "tpot")],
)
def test_a_term_of_another_tool_is_answered_with_ours(text: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean {meant}?"):
        parse_term(text)
    assert parse_term(" ttft = 300ms ").limit_s == 0.3


def test_junit_has_a_case_for_each_verdict(tmp_path: Path) -> None:
    gates = parse_gates(["error_rate>1%", "p99_ttft>500ms"], slo=True)
    judged = report(gates=judge(gates, report()))
    write_junit(tmp_path / "junit.xml", judged, strict=True)
    suites = Xml.parse(tmp_path / "junit.xml").getroot()  # noqa: S314  # it is our own
    (suite,) = suites
    assert {suite.get("tests"), suites.get("tests")} == {"4"}
    assert {suite.get("failures"), suites.get("failures")} == {"2"}
    failed = {
        case.get("name"): case.find("failure").get("message") for case in suite if case.find("failure") is not None
    }  # type: ignore[union-attr]
    assert failed == {
        "fail if error_rate>1%": "it is 3.00%",
        "ttft within 0.3 s": "97.00% of requests are, 99.00% have to be",
    }
    assert {case.get("classname") for case in suite} == {"r<1>\\x1b"}


def test_annotations_are_one_line_each_and_escaped() -> None:
    judged = report(gates=judge(parse_gates(["error_rate>1%"], slo=True), report()))
    lines = list(annotations(judged))
    assert lines[0] == "::error title=fail if error_rate>1%25::fail if error_rate>1%25: it is 3.00%25"
    assert len(lines) == 2


def test_a_run_without_a_success_has_a_verdict_that_says_so() -> None:
    none = report(gates=[], slo=None, requests={"succeeded": 0, "failed": 0, "planned": 5})
    assert [(each.passed, each.said) for each in verdicts(none)] == [(False, "none of 5 did")]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 1),
        (["--fail-if", "error_rate>60%"], 0),
        (["--fail-if", "error_rate>20%"], 1),
        (["--fail-if", "error_rate>60%", "p99_ttft>1h", "--slo", "ttft=1min", "--slo-attainment", "10%"], 0),
        (["--fail-if", "error_rate>60%", "--fail-if", "p99_ttft>1us"], 1),
    ],
)
def test_exit_codes_of_a_run_with_errors(perf: Run, truth: TruthServer, arguments: list[str], code: int) -> None:
    run = perf(
        *chat(truth, "itl_ms=1;tokens=4;fault=500;fault_rate=0.4;seed=2"), "-n", "150", "--parallel", "10", *arguments
    )
    assert 0.2 < run.report["requests"]["failed"] / 150 < 0.6
    assert run.code == code, run.out
    assert any(gate["failed"] for gate in run.report["gates"]) == bool(code)
    assert ("--fail-if 'error_rate>LIMIT' sets another limit" in run.out) == (not arguments)


def test_a_run_tells_github_and_writes_junit(perf: Run, truth: TruthServer) -> None:
    words = [*chat(truth, "itl_ms=1;tokens=4"), "-n", "3", "--fail-if", "p99_ttft>1us", "--junit", "junit.xml"]
    run = perf(*words, env={**os.environ, "GITHUB_ACTIONS": "true"})
    assert run.code == 1
    assert re.search(
        r"^::error title=fail if p99_ttft>1us::fail if p99_ttft>1us: it is [\d.]+ ms$", run.out, re.MULTILINE
    )
    assert b'failures="1"' in (run.folder / "junit.xml").read_bytes()
    quiet = perf(*words)
    assert "::error" not in quiet.out


def test_junit_that_cannot_be_written_is_said_before_any_request(perf: Run, truth: TruthServer) -> None:
    run = perf(*chat(truth), "--junit", "/nowhere/junit.xml")
    assert (run.code, truth.stats()["requests"]) == (2, 0)
    assert "expected a folder to write the JUnit report in, got '/nowhere'; look at --junit" in run.err


def test_the_page_has_every_figure() -> None:
    text = (DOCS / "gates.md").read_text()
    for name, figure in FIGURES.items():
        assert f"| `{name}` | {figure.unit} | {figure.about} |" in text
