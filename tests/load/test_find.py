"""`otel-llm find`: the highest load that holds, as a bracket."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks.find import ENGINE, NEAR, QUEUES, bad_share, bisect, find
from otel_llm.load.study.bracket import OUTCOMES, outcome_of, print_bracket
from otel_llm.load.study.limit import Share, limit_of
from otel_llm.load.study.rows import limited_at, limits_shown, reasons_of
from otel_llm.load.study.search import Answer, Outcome, Search
from tests.in_process import command
from tests.load.test_perf import chat
from tests.truthserver.process import TruthServer

DOCS = Path(__file__).parents[2] / "docs"


def told(server: Callable[[float], Outcome], first: float, **options: float | bool) -> Search:
    """Let a search ask a server whose share of bad requests is a straight line in log odds, 10 % at 100."""
    search = Search(first, 0.1, **options)  # type: ignore[arg-type]
    while (load := search.next()) is not None:
        odds = math.log(0.1 / 0.9) + 8 * math.log(load / 100)
        search.tell(Answer(load, server(load), min(max(1 / (1 + math.exp(-odds)), 1e-4), 1 - 1e-4)))
    return search


def exact(load: float) -> Outcome:
    return "holds" if load <= 100 else "breaks"


@pytest.mark.parametrize("first", [1, 60, 99, 101, 400, 5000])
def test_a_search_ends_with_a_bracket_as_narrow_as_was_asked(first: float) -> None:
    search = told(exact, first)
    assert search.holds is not None
    assert search.breaks is not None
    assert search.holds <= 100 < search.breaks <= search.holds * 1.052
    halvings = abs(math.log2(first / 100)) + 1
    assert len(search.answers) <= halvings + 6
    assert len({answer.load for answer in search.answers}) == len(search.answers)


def test_whole_loads_end_next_to_each_other() -> None:
    search = told(lambda load: "holds" if load <= 7 else "breaks", 1, whole=True)
    assert (search.holds, search.breaks) == (7, 8)
    assert told(lambda load: "breaks", 4, whole=True).holds is None


def test_where_it_is_not_sure_the_bracket_is_as_wide_as_that() -> None:
    search = told(lambda load: "unsure" if 90 < load < 110 else exact(load), 10)
    assert search.holds is not None
    assert search.breaks is not None
    assert search.holds <= 90 < 110 <= search.breaks
    assert search.breaks / search.holds < 1.05**2 * 110 / 90
    assert len(search.answers) < 24


def test_short_points_are_no_reason_to_try_lower_loads() -> None:
    """At a low load few requests come, so it takes a higher one to be sure of anything."""
    search = told(lambda load: "unsure" if load < 50 else exact(load), 1)
    assert min(answer.load for answer in search.answers) == 1
    assert search.holds is not None
    assert search.breaks is not None
    assert 50 <= search.holds <= 100 < search.breaks <= search.holds * 1.052
    never = told(lambda load: "unsure" if load <= 100 else "breaks", 4)
    assert (never.holds, min(answer.load for answer in never.answers)) == (None, 4)
    assert never.breaks is not None
    assert 100 < never.breaks <= 106


def test_no_load_above_the_highest_is_tried_and_a_client_that_is_the_limit_ends_the_search() -> None:
    assert [a.load for a in told(exact, 10, highest=50).answers] == [10, 20, 40, 50]
    limited = told(lambda load: "void" if load > 30 else exact(load), 10)
    assert (limited.holds is not None and 28 < limited.holds <= 30, limited.breaks) == (True, None)
    assert [a.load for a in told(lambda load: "void", 10).answers] == [10, 10, 5, 5]


def test_a_load_at_which_the_client_was_busy_for_a_moment_is_tried_again() -> None:
    seen: list[float] = []

    def busy_once(load: float) -> Outcome:
        seen.append(load)
        return "void" if load > 30 and seen.count(load) == 1 else exact(load)

    search = told(busy_once, 10)
    assert search.holds is not None
    assert search.breaks is not None
    assert search.holds <= 100 < search.breaks <= search.holds * 1.052
    assert all(seen.count(load) == (2 if load > 30 else 1) for load in seen)


ANSWERED = QUEUES["16 places of 0.1 s, TTFT 0.3 s for 90 %"]
"""Its answers take too long in 5 % of all cases, at any load: 10 % come with the queue, all of a sudden."""


def test_a_share_that_bends_all_of_a_sudden_takes_no_more_points_than_one_that_rises_slowly() -> None:
    search, true = Search(ANSWERED.capacity / 6, 0.1), ANSWERED.capacity
    while (load := search.next()) is not None:
        bad = min(ANSWERED.bad(load) if load < 160 else 1.0, 1 - 1e-4)
        search.tell(Answer(load, "holds" if load <= true else "breaks", bad))
    assert search.holds is not None
    assert search.breaks is not None
    assert search.holds <= true < search.breaks <= search.holds * 1.052
    assert len(search.answers) <= 14


def test_what_is_bad_at_any_load_is_no_part_of_the_line() -> None:
    loads = [share * ANSWERED.capacity for share in (0.17, 0.33, 0.67, 0.85, 0.92, 0.97, 1.03, 1.06)]
    limit = limit_of([Share(load, ANSWERED.bad(load), 500.0) for load in loads], 0.1)
    assert limit is not None
    assert limit.load == pytest.approx(ANSWERED.capacity, rel=0.01)
    assert limit.low < ANSWERED.capacity < limit.high < 1.1 * limit.low


@pytest.mark.parametrize("seed", range(2))
def test_a_queue_whose_limit_is_known_is_found(seed: int) -> None:
    """As `python -m benchmarks.find` does with a hundred seeds and longer points."""
    server = QUEUES["16 places, wait 0.3 s for 90 %"]
    search, requests = find(server, np.random.default_rng(seed), server.capacity / 3, 8_000)
    assert search.holds is not None
    assert search.breaks is not None
    assert search.holds <= server.capacity <= search.breaks
    assert search.limit is not None
    assert search.limit.load == pytest.approx(server.capacity, rel=0.04)
    assert search.limit.low <= server.capacity <= search.limit.high
    _, of_bisection = bisect(server, np.random.default_rng(seed), server.capacity / 3, 20_000)
    assert requests < 0.5 * of_bisection


def test_the_limit_of_an_engine_that_batches_is_found() -> None:
    """Around what is found, many more requests than the search sent fall short of the allowed share, and exceed it."""
    search, _ = find(ENGINE, np.random.default_rng(1), 5.0, 8_000)
    assert search.limit is not None
    below, above = (bad_share(ENGINE, search.limit.load * factor, 60_000) for factor in (1 - NEAR, 1 + NEAR))
    assert below < 1 - ENGINE.share < above
    assert search.limit.load < ENGINE.places / (32 * (ENGINE.step_s + ENGINE.places * ENGINE.request_s))


def test_the_limit_lies_where_the_line_through_all_points_crosses_what_is_allowed() -> None:
    line = [Share(load, 1 / (1 + (100 / load) ** 8 * 9), 400.0) for load in (20, 85, 95, 104, 115, 180)]
    limit = limit_of(line, 0.1)
    assert limit is not None
    assert limit.load == pytest.approx(100, rel=2e-3)
    more = limit_of([each._replace(worth=4e4) for each in line], 0.1)
    assert more is not None
    assert limit.low < more.low < limit.load < more.high < limit.high
    assert (more.high - more.low) == pytest.approx((limit.high - limit.low) / 10, rel=0.05)


@pytest.mark.parametrize(
    ("loads", "why"),
    [
        ([50, 60, 70], "all hold: the limit would be beyond them"),
        ([150, 160], "all break"),
        ([20, 500], "none is near"),
        ([], "nothing was tried"),
    ],
)
def test_a_limit_that_would_be_a_guess_is_refused(loads: list[float], why: str) -> None:
    assert limit_of([Share(load, 1 / (1 + (100 / load) ** 8 * 9), 400.0) for load in loads], 0.1) is None, why


def test_a_search_that_stays_unsure_ends_when_the_limit_is_known_well_enough() -> None:
    def ask(worth: float) -> Search:
        search = Search(10, 0.1)
        while (load := search.next()) is not None:
            bad = 1 / (1 + (100 / load) ** 8 * 9)
            search.tell(Answer(load, "unsure" if 90 < load < 110 else exact(load), bad, worth))
        return search

    short, long = ask(60.0), ask(1e5)
    assert len(long.answers) < len(short.answers)
    assert long.limit is not None
    assert (long.limit.low < 100 < long.limit.high, long.limit.high / long.limit.low < 1.05) == (True, True)


def report(**more: object) -> dict[str, object]:
    certainty = {"verdict": "holds", "requests": 99, "good": 99, "independent": 50.0, "attainment": 1.0}
    return {
        "slo": {"certainty": certainty, "required_attainment": 0.99}, "load": {"overload": None},
        "client": {"saturated": False, "reasons": []}, "run": {"arguments": {"rate": 9.0}}, **more,
    }  # fmt: skip


def limited(verdict: str | None, terms: Sequence[str], rate: float | None = 9.0) -> dict[str, object]:
    """Return what a report says of a point at which this client was late."""
    certainty = {"verdict": verdict, "requests": 99, "good": 99, "independent": 50.0, "attainment": 1.0}
    slo = {"certainty": certainty, "required_attainment": 0.99, "terms": dict.fromkeys(terms)}
    return {"client": {"saturated": True}, "slo": slo, "run": {"arguments": {"rate": rate}}}


@pytest.mark.parametrize(
    ("more", "outcome"),
    [
        ({}, "holds"),
        ({"load": {"overload": {"overloaded": True, "by_client": False}}}, "breaks"),
        ({"load": {"overload": {"overloaded": True, "by_client": True}}}, "void"),
        (limited("holds", ["ttft"]), "holds"),
        (limited("holds", ["ttft", "latency"]), "holds"),
        (limited("holds", ["ttft", "itl_p99"]), "void"),
        (limited("holds", ["ttft"], None), "void"),
        (limited("breaks", ["ttft"]), "void"),
        (limited(None, ["ttft"]), "void"),
    ],
)
def test_a_point_of_an_overloaded_server_breaks_and_one_of_a_limited_client_says_nothing(
    more: dict[str, object], outcome: str
) -> None:
    assert outcome_of(9.0, report(**more)).outcome == outcome


def test_a_point_of_which_nothing_is_known_speaks_for_neither_side() -> None:
    """It is unsure, and no reason to try a lower load."""
    nothing = {"verdict": None, "requests": 0, "good": 0, "independent": 0.0, "attainment": None}
    answer = outcome_of(9.0, report(slo={"certainty": nothing, "required_attainment": 0.99}))
    assert (answer.outcome, answer.worth) == ("unsure", 0)
    assert 0 < answer.bad < 0.01


def test_a_point_at_which_the_client_was_the_limit_says_why() -> None:
    assert reasons_of("void", ["reads were late", "requests left late"]) == "void: reads were late"
    assert reasons_of("void", []) == "void"
    assert reasons_of("holds", ["one read was late"]) == "holds"
    rows = [
        {"load": load, "loop": "rate", "outcome": outcome, "verdict": "missed", "client_reasons": ["reads were late"]}
        for load, outcome in ((9.0, "holds"), (12.0, "void"))
    ]
    assert list(limited_at(rows)) == [("12/s", ["reads were late"])]
    rows[1]["client_reasons"] = ["reads were late", "requests left late"]
    assert list(limits_shown(rows)) == ["12/s: reads were late", "      requests left late"]


def test_the_answer_says_where_the_limit_most_likely_is_in_one_line_of_a_terminal() -> None:
    found = {
        "holds": 59.3, "breaks": 66.1, "confidence": 0.95, "limit": 62.412345, "limit_ci95": [61.234567, 63.512345],
    }  # fmt: skip
    out = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    print_bracket(found, [], "rate", out, done=True)
    first, second, *_ = out.export_text().splitlines()
    assert first == "holds at 59.3/s, breaks at 66.1/s  (95% sure)"
    assert second == "the limit is most likely at 62.41/s, between 61.23 and 63.51  (95% sure)"
    print_bracket({**found, "limit": None, "limit_ci95": None}, [], "rate", out, done=True)
    assert "most likely" not in out.export_text()


def run_find(folder: Path, *words: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "otel_llm.cli", "find", *words, "--name", "f.db", "--json", "f.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=110)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def test_a_search_is_run_once_and_then_remembered(truth: TruthServer, tmp_path: Path) -> None:
    """Whether this machine was the limit meanwhile is its own affair: then that is what is said."""
    words = [
        *chat(truth, "itl_ms=0;tokens=2"), "--slo", "ttft=1min", "--slo-attainment", "80%", "--duration", "20s",
        "-n", "2000", "--start", "100", "--highest", "100",
    ]  # fmt: skip
    code, out, err = run_find(tmp_path, *words)
    found = json.loads((tmp_path / "f.json").read_text())
    outcomes = [point["outcome"] for point in found["points"]]
    assert set(outcomes) <= set(OUTCOMES), err
    assert code == (0 if "holds" in outcomes else 1)
    assert (found["holds"] is not None) == ("holds" in outcomes)
    assert (found["breaks"], found["confidence"]) == (None, 0.95)
    assert out.startswith("holds at 100/s" if outcomes == ["holds"] else "holds ")
    sent = truth.stats()["requests"]
    assert run_find(tmp_path, *words)[:2] == (code, out)
    assert truth.stats()["requests"] == sent
    assert max(map(len, out.splitlines())) < 140


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "expected --slo NAME=TIME; say what holds: --slo ttft=300ms"),
        (["--slo", "ttft=1s"], "expected -n or --duration"),
        (["--slo", "ttft=1s", "-n", "5", "--slo-attainment", "100%"], "--slo-attainment above 0 and below 100%"),
        (["--slo", "ttft=1s", "-n", "5", "--precision", "0"], "--precision of 0.5% to 100%"),
        (["--slo", "ttft=1s", "-n", "5", "--start", "0"], "--start and --highest above 0"),
        (["--slo", "tttf=1s", "-n", "5"], "did you mean ttft?"),
        (["--slo", "ttft=1s", "-n", "5", "--precision", "5"], "got 5.0; write 5% for a percentage"),
        (["--slo", "ttft=1s", "-n", "5", "--rate", "5"], "did you mean --start R (the rate is what it finds)?"),
    ],
)
def test_bad_usage_is_exit_code_2(tmp_path: Path, words: list[str], said: str) -> None:
    done = command("find", "--url", "http://127.0.0.1:9/v1", "--model", "m", "--prompt", "x", *words, folder=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_the_page_has_every_outcome() -> None:
    text = (DOCS / "studies.md").read_text()
    for outcome, about in OUTCOMES.items():
        assert f"| `{outcome}` | {about} |" in text
