"""The probe that is asked of every library in `benchmarks/instrumentation`, asked of ours; and its arithmetic."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.instrumentation import table
from benchmarks.instrumentation.added import added, call_of
from benchmarks.instrumentation.environments import ROOT
from benchmarks.instrumentation.probe.first_calls import CALLS, FIRST_MS
from benchmarks.instrumentation.probe.libraries import PACKAGES
from otel_llm.sim import SimServer

OUTCOMES = {
    "break": "abandoned",
    "with_break": "closed_early",
    "close": "closed_early",
    "raise": "error",
    "cycle": "abandoned",
    "held": "abandoned",
    "helper": "closed_early",
    "async_break": "abandoned",
    "async_with_break": "closed_early",
    "cancelled": "cancelled",
}


def ask(part: str, url: str) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    out = subprocess.run(
        [sys.executable, "-m", "benchmarks.instrumentation.probe", "otel_llm", part, url],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=100,
    )  # fmt: skip
    answers: dict[str, Any] = json.loads(out.stdout)
    return answers


@pytest.fixture(scope="module")
def answers() -> Iterator[dict[str, Any]]:
    with SimServer() as sim:
        told = ask("quiet", sim.url)
        told["traceparent"] = any(row["traceparent"] for row in sim.log)
        told["usage_spans"] = ask("double", sim.url)
        told["first"] = ask("first", sim.url)
        yield told | ask("as-it-comes", sim.url)


def test_every_way_out_is_one_span_with_the_tokens_so_far(answers: dict[str, Any]) -> None:
    for name, outcome in OUTCOMES.items():
        told = answers["exit_" + name]
        assert (name, told["spans"], told["outcome"], told["output_tokens"]) == (name, 1, outcome, 3)
        assert told["duration"][1] == 1
    assert answers["exit_held"]["span_s"] < 0.4  # it was held for 0.5 s


def test_what_is_said_of_a_stream_is_what_its_reader_saw(answers: dict[str, Any]) -> None:
    told = answers["stream"]
    assert told["first"][2] == pytest.approx(answers["true_first_s"], abs=0.03)
    assert told["gaps"][1] == 7
    assert told["gaps"][2] / 7 == pytest.approx(answers["true_gap_s"], abs=0.002)
    assert answers["whole"]["first"] is None
    assert answers["refused"]["duration_error"] == "openai.RateLimitError"
    assert (answers["no_usage"]["output_tokens"], answers["no_usage"]["source"]) == (8, "chunks")


def test_it_is_quiet_and_can_be_undone(answers: dict[str, Any]) -> None:
    assert (answers["content"], answers["hosts"], answers["undone"]) == (False, [], True)
    assert (answers["type_kept"], answers["traceparent"], answers["typed"]) == (True, True, True)
    assert answers["kept_bytes"] < 500


def test_a_call_of_anthropic_is_one_span_with_usage(answers: dict[str, Any]) -> None:
    assert len(answers["usage_spans"]) == 5
    assert set(answers["usage_spans"].values()) == {1}


def test_the_first_calls_are_told_by_the_library_and_seen_by_their_caller(answers: dict[str, Any]) -> None:
    told = answers["first"]
    assert len(told["says"]) == len(told["waited"]) == CALLS
    assert all(FIRST_MS / 1e3 <= said <= waited for said, waited in zip(told["says"], told["waited"], strict=True))
    silent = {"says": [None] * CALLS, "waited": [0.025, *[0.02] * (CALLS - 1)]}
    ours, bare = table.first({"otel_llm": [told], "bare": [silent, silent]}).splitlines()[2:]
    assert ours.startswith("| otel_llm | ")
    assert bare == "| bare | – | +5.0 (+5.0 to +5.0) |"


def test_every_answer_has_its_row(answers: dict[str, Any]) -> None:
    head, rule, *rows = table.behaviour({"otel_llm": answers}).splitlines()
    assert head.endswith("| otel_llm |")
    assert rule == "| --- | --- |"
    assert len(rows) == len(table.BEHAVIOUR)


def round_(bare: int) -> dict[str, Any]:
    """3 µs a chunk while it streams, 1 at its end, and 200 a call, whatever the bare client takes."""

    def times(chunks: int) -> dict[str, Any]:
        return {
            "start": [(bare, bare + 120_000)],
            "first": [(bare, bare + 10 * 3_000 + 50_000)],
            "block": [(10 * bare, 10 * bare + 10 * 3_000)] * (chunks // 10 - 1),
            "end": [(0, 30_000 + chunks * 1_000)],
        }

    return {"client sync small": times(100), "client sync large": times(600)}


def test_added_is_a_difference_per_chunk_and_per_call() -> None:
    found = added([round_(50_000), round_(90_000), round_(51_000)], "client sync")
    assert found.bare_us == pytest.approx(51)
    assert (found.chunk_us, found.least_us, found.most_us) == pytest.approx((4, 4, 4))
    assert found.call_us == pytest.approx(200)


def test_a_whole_call_is_told_beside_the_bare_client_and_beside_another_library() -> None:
    calls = [call_of(round_(bare), "client sync") for bare in (50_000, 90_000, 51_000)]
    assert [call.added_us for call in calls] == pytest.approx([600] * 3)  # 200 a call, and 100 chunks of 4
    assert calls[0].bare_us == pytest.approx(92 * 50)
    assert calls[0].times_bare == pytest.approx(1 + 600 / 4600)
    head, _, ours, other = table.calls({"otel_llm": calls, "genai": calls}, "genai").splitlines()
    assert head.startswith("| a call of 100 chunks | adds, µs |")
    assert ours.startswith("| otel_llm | 600 (600 to 600) | 1.13 (1.07 to 1.13) | 1.00 ")
    assert other.startswith("| genai | ")


def test_every_library_has_a_lock_with_what_it_is_called() -> None:
    for library, package in PACKAGES.items():
        lock = Path(ROOT, "requirements", f"compare-{library}.lock").read_text()
        assert "--hash=sha256:" in lock
        assert f"{package}==" in lock or library == "otel_llm"
