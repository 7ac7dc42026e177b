"""Confidence intervals: known tables, and how often they hold the truth when it is known."""

import numpy as np
import pytest

from otel_llm.load.figures.enough import FEWEST, values_needed
from otel_llm.load.figures.intervals import (
    NEITHER,
    clustered_intervals,
    enclosing_ranks,
    independent_interval,
    intervals,
)
from otel_llm.load.figures.stats import Stats, describe
from otel_llm.measures import Facts
from otel_llm.testing import timeline


@pytest.mark.parametrize(
    ("count", "q", "first", "last"),
    [(100, 50, 40, 61), (10, 50, 2, 9), (20, 50, 6, 15), (6, 50, 1, 6), (50, 50, 18, 33)],
)
def test_the_ranks_of_a_median_are_those_of_the_tables(count: int, q: float, first: int, last: int) -> None:
    """Conover, Practical Nonparametric Statistics, table A3; ranks there count from 1."""
    assert enclosing_ranks(count, q) == (first - 1, last - 1)


@pytest.mark.parametrize(("q", "count"), [(50, 40), (90, 100), (99, 1000), (99.9, 10_000)])
def test_how_many_values_a_percentile_takes(q: float, count: int) -> None:
    assert values_needed(q) == count
    values = np.arange(float(count))
    assert None not in independent_interval(values, count, q)
    assert independent_interval(values, count - 1, q)[1] is None or count == FEWEST
    row = describe(np.random.default_rng(6).random(FEWEST - 1))
    assert row["too_few_for"] == list(row["ci95"])
    assert row["ci95"][f"p{q}"] == [None, None]


@pytest.mark.parametrize("q", [50, 90, 99])
def test_of_a_hundred_intervals_about_95_hold_the_true_percentile(q: float) -> None:
    random, true = np.random.default_rng(1), -np.log(1 - q / 100)
    held = 0
    for _ in range(1000):
        values = np.sort(random.exponential(size=1000))
        low, high = independent_interval(values, 1000, q)
        assert low is not None
        assert high is not None
        held += low <= true <= high
    assert 0.935 < held / 1000 < 0.99  # ranks are whole: 95 % or somewhat more, never less; of 1000 tries ±1.4 %


@pytest.mark.parametrize(("count", "q"), [(400, 50), (1000, 90), (1000, 99)])
def test_narrower_intervals_of_two_runs_touch_in_19_of_20_pairs(count: int, q: float) -> None:
    random, apart = np.random.default_rng(8), 0
    for _ in range(1000):
        one, other = (intervals(np.sort(random.exponential(size=count)), count, q, 1.0) for _ in range(2))
        (low, high), (other_low, other_high) = one.ci83, other.ci83
        assert low is not None
        assert high is not None
        assert other_low is not None
        assert other_high is not None
        apart += high < other_low or other_high < low
    assert 30 < apart < 75  # 5 %, of 1000 tries ±1.4 %


def test_gaps_of_one_answer_do_not_count_as_independent() -> None:
    """Each answer has a pace of its own. Read as independent, the interval would hold the truth half of the time."""
    random = np.random.default_rng(2)

    def answers(number: int) -> np.ndarray:
        return (random.lognormal(0, 0.5, (number, 1)) * random.exponential(size=(number, 60))).ravel()

    true = float(np.percentile(answers(60_000), 90))
    held = naive = 0
    for _ in range(500):
        values = answers(200)
        ordered = np.sort(values)
        low, high = clustered_intervals(ordered, values, [60] * 200, 90, float(np.percentile(values, 90))).ci95
        assert low is not None
        assert high is not None
        held += low <= true <= high
        low, high = independent_interval(ordered, len(values), 90)
        assert low is not None
        assert high is not None
        naive += low <= true <= high
    assert 0.91 < held / 500 < 0.98
    assert naive / 500 < 0.65


def test_few_requests_say_nothing_about_their_gaps() -> None:
    values = np.linspace(0, 1, 39 * 50)
    assert clustered_intervals(values, values, [50] * 39, 50, 0.5) == NEITHER


def test_a_report_says_which_percentiles_have_too_few_values() -> None:
    row = describe(np.random.default_rng(4).permutation(np.arange(100.0)))
    assert row["ci95"]["p50"] == [39, 60]
    assert row["ci95"]["p99"] == [96, None]
    assert row["too_few_for"] == ["p95", "p98", "p99", "p99.9"]
    assert "ci95" not in describe(np.array([]))


def test_unanswered_requests_are_in_the_interval_too() -> None:
    """Ten of a hundred are infinite: p90 is, and the upper end of p80 is known."""
    row = describe(np.random.default_rng(4).permutation(np.arange(90.0)), infinite=10)
    assert row["p95"] is None
    assert row["ci95"]["p80"] == [71, 88]
    assert row["ci95"]["p90"][1] is None
    assert "p80" not in row["too_few_for"]


def test_every_gap_of_a_run_belongs_to_a_request() -> None:
    stats = Stats(40)
    stats.add(Facts.of(*[timeline("r..a.b..c.d|")] * 40))
    row = stats.summary()["measures"]["inter_token_latency"]
    assert row["count"] == 120
    low, high = row["ci95"]["p50"]
    assert low <= row["p50"] <= high
