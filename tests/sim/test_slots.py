"""The simulator's slots are a queue of c servers: what they make requests wait is what Erlang's formulas say."""

import heapq
import math
from functools import partial
from itertools import islice

import numpy as np
import pytest

from benchmarks.erlang import erlang_c, time_beyond, wait_beyond
from benchmarks.queueing import percentile_of
from otel_llm.load.plan.arrivals import arrival_moments
from otel_llm.load.plan.stages import Stages
from otel_llm.sim.slots import Slots

MEAN_S = 0.1


def test_the_formulas_have_their_known_values() -> None:
    assert erlang_c(1, 0.7) == pytest.approx(0.7)
    assert erlang_c(2, 0.5) == pytest.approx(1 / 3)
    one = partial(
        time_beyond, slots=1, load=0.8, mean_s=MEAN_S
    )  # M/M/1: exponential with the mean of 1 / (mu - lambda)
    assert percentile_of(one, 90) == pytest.approx(math.log(10) / 2)
    assert percentile_of(partial(wait_beyond, slots=40, load=0.5, mean_s=MEAN_S), 90) == 0
    both = partial(time_beyond, slots=4, load=0.75, mean_s=MEAN_S)  # served and emptied at one pace
    near = partial(time_beyond, slots=4, load=0.7501, mean_s=MEAN_S)
    assert percentile_of(both, 90) == pytest.approx(percentile_of(near, 90), rel=0.001)


def waits(slots: int, load: float, count: int) -> list[float]:
    """Return how long each request waits, seconds, in a time that is made up."""
    rng = np.random.default_rng(6)
    arrivals = islice(arrival_moments("poisson", Stages.steady(load * slots / MEAN_S), 5), count)
    line, found, ending = Slots(slots), list[float](), list[int]()

    def come(at_ns: int, takes_ns: int) -> None:
        def seated(free_ns: int) -> None:
            start = max(at_ns, free_ns)
            found.append((start - at_ns) / 1e9)
            heapq.heappush(ending, start + takes_ns)

        line.take(seated)

    for at_ns, takes_s in zip(arrivals, rng.exponential(MEAN_S, count).tolist(), strict=True):
        while ending and ending[0] <= at_ns:
            line.give(heapq.heappop(ending))
        come(at_ns, round(takes_s * 1e9))
    return found


@pytest.mark.parametrize(("slots", "load"), [(1, 0.5), (4, 0.8), (16, 0.8)])
def test_requests_wait_as_long_as_in_theory(slots: int, load: float) -> None:
    waited = np.array(waits(slots, load, 40_000)[1000:])
    assert (waited > 0).mean() == pytest.approx(erlang_c(slots, load), rel=0.2), "one slot more or less is 40 %"
    for q in (90, 95):
        truth = percentile_of(partial(wait_beyond, slots=slots, load=load, mean_s=MEAN_S), q)
        assert np.percentile(waited, q) == pytest.approx(truth, rel=0.25, abs=0.001)


def test_who_needs_more_room_than_the_cache_has_left_waits_and_nobody_passes() -> None:
    line, seated = Slots(0, room=100), list[str]()
    line.take(lambda _: seated.append("a"), 60)
    line.take(lambda _: seated.append("b"), 60)
    line.take(lambda _: seated.append("c"), 10)  # fits, and comes after b
    assert (seated, line.waiting, line.cache_used) == (["a"], 2, 1.0)
    line.give(1, 60)
    assert (seated, line.waiting, line.cache_used) == (["a", "b", "c"], 0, 0.7)


def test_who_is_larger_than_the_cache_has_it_alone() -> None:
    line, seated = Slots(0, room=100), list[str]()
    line.take(lambda _: seated.append("large"), 300)
    line.take(lambda _: seated.append("small"), 1)
    assert (seated, line.cache_used) == (["large"], 1.0)
    line.give(1, 300)
    assert seated == ["large", "small"]


def test_fewer_slots_take_none_away_and_more_are_taken_at_once() -> None:
    line, seated = Slots(2), list[int]()
    for _ in range(4):
        line.take(seated.append)
    line.resize(1, 0, at_ns=5)
    line.give(6)
    assert seated == [0, 0]
    line.resize(3, 0, at_ns=7)
    assert seated == [0, 0, 7, 7]
