"""Whether a server kept up: on queues whose load is known, and on what only looks like a queue that grows."""

import math

import numpy as np
import pytest

from benchmarks.overload import ends_of, share_overloaded
from otel_llm.load.figures.overload import judge_overload


@pytest.mark.parametrize(("load", "least", "most"), [(0.9, 0.0, 0.05), (1.1, 0.95, 1.0)])
def test_the_verdict_is_right_on_a_queue_of_known_load(load: float, least: float, most: float) -> None:
    said, undecided = share_overloaded("M/M/8", load, 4000, runs=40)
    assert undecided == 0
    assert least <= said <= most


def test_the_growth_is_what_is_asked_beyond_what_ends() -> None:
    asked = np.arange(2000) / 100
    verdict = judge_overload(asked, asked, ends_of(asked, np.full(2000, 0.1), 5))  # which ends 50 a second
    assert verdict is not None
    assert verdict.overloaded
    assert not verdict.by_client
    assert verdict.asked == pytest.approx(100, rel=0.02)
    assert verdict.ended == pytest.approx(50, rel=0.02)
    assert verdict.growth == pytest.approx(50, rel=0.04)
    low, high = verdict.ci95
    assert low < 50.5
    assert high > 49.5
    first, last = verdict.latency
    assert (first, last) == (pytest.approx(1.1, rel=0.1), pytest.approx(19, rel=0.1))


def test_long_answers_are_no_overload() -> None:
    """While the first answers are being made, the backlog of any server grows."""
    rng = np.random.default_rng(1)
    asked = np.arange(3000) / 100
    ended = asked + rng.uniform(2, 4, len(asked))
    verdict = judge_overload(asked, asked, ended)
    assert verdict is not None
    assert verdict.backlog[0] == pytest.approx(300, abs=60)
    assert not verdict.overloaded
    assert judge_overload(asked, asked, asked + 10) is None, "30 s of asking for answers of 10 s say nothing"


def test_one_stop_of_the_server_is_no_overload() -> None:
    asked = np.arange(3000) / 100
    ended = asked + 0.05
    ended[2900:] = asked[2900:] + 5  # it stops in the last second
    verdict = judge_overload(asked, asked, ended)
    assert verdict is not None
    assert verdict.backlog[1] >= 100
    assert not verdict.overloaded


def test_what_never_ended_counts_and_what_was_not_sent_is_the_clients() -> None:
    rng = np.random.default_rng(1)
    asked = np.sort(rng.uniform(0, 30, 3000))
    lost = np.arange(3000) > 1000
    lost &= rng.random(3000) < 0.5
    ended = np.where(lost, math.nan, asked + 0.1)
    verdict = judge_overload(asked, asked, ended)
    assert verdict is not None
    assert verdict.overloaded
    assert not verdict.by_client
    assert verdict.unsent[1] == 0
    held = judge_overload(asked, np.where(lost, math.inf, asked), ended)
    assert held is not None
    assert held.by_client


def test_a_short_run_says_nothing() -> None:
    few = np.arange(50) / 10
    assert judge_overload(few, few, few + 0.01) is None
    never = np.arange(500) / 10
    assert judge_overload(never, never, np.full(500, math.nan)) is None
