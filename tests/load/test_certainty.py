"""The sequential test of an SLO: certain when it may be, of requests that are not independent. docs/studies.md"""

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.find import QUEUES, Queue, trial
from otel_llm.load.figures.certainty import Certainty, judge_attainment
from otel_llm.sinks.stored_run import read_records
from tests.load.conftest import Perf
from tests.load.test_perf import chat
from tests.truthserver.process import TruthServer

QUEUE = QUEUES["4 places, wait 2 s for 90 %"]


def outcomes(bad: float, count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return independent requests: sent a second apart, answered in half a second or less."""
    random = np.random.default_rng(seed)
    sent = np.arange(count, dtype=np.float64)
    return sent, sent + 0.5 * random.random(count), (random.random(count) >= bad).astype(np.float64)


@pytest.mark.parametrize(
    ("bad", "verdict"), [(0.0, "holds"), (0.02, "holds"), (0.1, None), (0.3, "breaks"), (1, "breaks")]
)
def test_it_is_certain_of_what_is_far_from_the_attainment(bad: float, verdict: str | None) -> None:
    assert judge_attainment(*outcomes(bad, 1500), 0.9).verdict == verdict


def test_few_requests_show_that_an_slo_breaks_before_they_show_that_it_is_kept() -> None:
    assert judge_attainment(*outcomes(0.0, 100), 0.99).verdict is None
    assert judge_attainment(*outcomes(0.0, 2000), 0.99).verdict == "holds"
    assert judge_attainment(*outcomes(1.0, 100), 0.99).verdict == "breaks"


def test_requests_that_find_many_under_way_are_worth_less_though_nothing_has_gone_wrong() -> None:
    sent, _, good = outcomes(0.0, 800)
    slow = sent + 50 + 30 * np.random.default_rng(2).random(800)  # each meets some sixty others
    alone, crowded = (judge_attainment(sent, ended, good, 0.99) for ended in (sent + 0.5, slow))
    assert alone.verdict == "holds"
    assert crowded.verdict is None
    assert crowded.independent < 0.2 * alone.independent


def test_how_many_are_under_way_counts_as_far_as_it_rules_what_is_bad() -> None:
    """Answers that take their time by themselves are as good as independent, however many are under way."""
    random = np.random.default_rng(4)
    sent = np.cumsum(random.exponential(1.0, 20_000))
    ended = sent + random.exponential(20.0, 20_000)
    apart = (random.random(20_000) >= 0.05).astype(np.float64)
    under_way = np.arange(20_000) - np.searchsorted(np.sort(ended), sent, side="right")
    together = (under_way <= np.quantile(under_way, 0.95)).astype(np.float64)
    free, ruled = (judge_attainment(sent, ended, good, 0.9) for good in (apart, together))
    assert free.verdict == "holds"
    assert free.independent > 5 * ruled.independent


def test_requests_after_one_that_has_not_ended_are_not_looked_at() -> None:
    certainty = Certainty(0.9)
    for index in range(1, 2000):
        certainty.put(index, index * 1e9, index * 1e9 + 1, True)
    assert certainty.look() is None
    assert certainty.judgement.requests == 0
    certainty.put(0, 0.0, 1.0, True)
    assert certainty.look() == "holds"


@pytest.mark.parametrize(("factor", "outcome"), [(0.6, "holds"), (1.5, "breaks")])
def test_a_queue_of_known_capacity_is_judged_rightly(factor: float, outcome: str) -> None:
    answer, requests = trial(QUEUE, factor * QUEUE.capacity, np.random.default_rng(3), 20_000)
    assert answer.outcome == outcome
    assert requests < 20_000


def test_the_capacity_of_the_proofs_is_erlangs() -> None:
    """M/M/1 waits longer than t with probability load * exp(-(1 - load) t)."""
    assert Queue(1, 1, 5, 0.95).bad(0.5) == pytest.approx(0.5 * np.exp(-2.5))
    assert Queue(2, 1, 0, 0.9).bad(1.0) == pytest.approx(1 / 3)
    assert QUEUE.bad(QUEUE.capacity) == pytest.approx(0.1)


@pytest.mark.parametrize(("limit", "verdict", "code"), [("1min", "holds", 0), ("1us", "breaks", 1)])
def test_a_run_ends_when_it_is_certain(
    perf: Callable[..., Perf], truth: TruthServer, limit: str, verdict: str, code: int
) -> None:
    run = perf(
        *chat(truth, "itl_ms=0;tokens=2"), "--rate", "200", "-n", "20000", "--duration", "80s",
        "--slo", f"ttft={limit}", "--slo-attainment", "80%", "--until-certain",
    )  # fmt: skip
    certainty = run.report["slo"]["certainty"]
    assert (certainty["verdict"], run.code) == (verdict, code)
    assert run.report["ended_by"] == "certain"
    assert certainty["requests"] <= run.report["requests"]["sent"] < 20_000
    assert len(list(read_records(run.run_file))) == run.report["requests"]["sent"]
    assert "certain (95%): the SLO is" in run.out


def test_until_certain_needs_an_slo(perf: Callable[..., Perf], truth: TruthServer) -> None:
    run = perf(*chat(truth), "--until-certain")
    assert (run.code, "expected --until-certain with --slo and single requests, got 'no --slo'" in run.err) == (2, True)
