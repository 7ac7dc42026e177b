"""Whether a comparison keeps its promise: a server whose p99 is 5 % higher, found as often as it says.

    python -m benchmarks.known_shift      about 15 minutes

Pairs of series of one distribution are drawn and compared at p99: what is said to differ is a false alarm. Then the
second of each pair is moved by 5 % of the true p99. A comparison states the smallest difference that four of five find;
by the same normal distribution that says how many find 5 %: the promise, the mean over the pairs that have an interval.
Beside it stands in how many of them the difference was found.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np

from benchmarks.comparing import difference_at, is_found
from benchmarks.coverage import Random
from benchmarks.erlang import time_beyond
from benchmarks.queueing import percentile_of
from otel_llm.measures import Floats

__all__ = ["CASES", "Kept", "kept"]

SHIFT: Final = 0.05
PAIRS: Final = 200
_MORE_PAIRS: Final = 1000
_SHORT: Final = 5000
"""Of series up to so long more pairs are drawn: one alarm in twenty of 200 pairs is 10 ± 3 of them."""
_AT_ONCE: Final = 50
_SLOTS: Final = 8
_LOAD: Final = 0.8
_WARM: Final = 2000
_GAPS: Final = 60
_NORMAL: Final = NormalDist()
_SEEN: Final = _NORMAL.inv_cdf(0.975) + _NORMAL.inv_cdf(0.8)

Draw = Callable[[Random, int, int], Floats]


class Case(NamedTuple):
    """draw: as many series of as many requests, float64[series, values]; true: a percentile; size: values a request"""

    draw: Draw
    true: Callable[[int], float]
    counts: Sequence[int]
    size: int = 1


class Kept(NamedTuple):
    """Of the pairs: how many had an interval, how many were false alarms, and of the moved ones how many were found.

    promised: how many of those with an interval were to be found; visible: the middle one, a share of the true value
    """

    pairs: int
    given: int
    alarms: int
    promised: float
    found: int
    visible: float


def kept(case: Case, count: int, pairs: int = PAIRS, q: int = 99, seed: int = 9) -> Kept:
    """Return what becomes of pairs of so many requests each, whose percentile is moved."""
    random, true = np.random.default_rng(seed), case.true(q)
    by, alarms, found, promised, visible = SHIFT * true, 0, 0, [], []
    for one, other in _pairs(case, random, count, pairs):
        alike, moved = (difference_at(one, each, case.size, q) for each in (other, other + by))
        if alike.visible is None or moved.visible is None:
            continue
        alarms += is_found(alike)
        found += is_found(moved)
        promised.append(_NORMAL.cdf(_SEEN * by / moved.visible - _NORMAL.inv_cdf(0.975)))
        visible.append(alike.visible / true)
    middle = float(np.median(visible)) if visible else math.nan
    return Kept(pairs, len(visible), alarms, math.fsum(promised), found, middle)


def _pairs(case: Case, random: Random, count: int, pairs: int) -> Iterator[tuple[Floats, Floats]]:
    while pairs > 0:
        part = min(pairs, _AT_ONCE)
        yield from zip(case.draw(random, count, part), case.draw(random, count, part), strict=True)
        pairs -= part


def _lognormal(sigma: float) -> Case:
    return Case(
        lambda random, count, series: random.lognormal(0, sigma, (series, count)),
        lambda q: math.exp(sigma * _NORMAL.inv_cdf(q / 100)),
        (2000, 10_000, 50_000),
    )


def _queue(random: Random, count: int, series: int) -> Floats:
    """Return how long requests take in a queue with eight slots: wait and service, whose mean is 1."""
    left, found = np.zeros((series, _SLOTS)), np.empty((series, count))
    for at in range(-_WARM, count):
        service = random.exponential(1, series)
        if at >= 0:
            found[:, at] = left[:, 0] + service
        left[:, 0] += service
        left -= random.exponential(1 / (_LOAD * _SLOTS), (series, 1))
        np.maximum(left, 0, out=left)
        left.sort(axis=1)
    return found


def _paces(random: Random, count: int, series: int) -> Floats:
    """Return gaps between tokens, whose pace is an answer's own."""
    paces = random.lognormal(0, 0.2, (series, count, 1))
    return (paces * random.gamma(16, 1 / 16, (series, count, _GAPS))).reshape(series, -1)


def _true_of_paces(q: int) -> float:
    return float(np.percentile(_paces(np.random.default_rng(1), 100_000, 1), q))


def _true_of_queue(q: int) -> float:
    return percentile_of(lambda at: time_beyond(at, _SLOTS, _LOAD, 1), q)


CASES: Final[Mapping[str, Callable[[], Case]]] = {
    "independent, lognormal 0.3": lambda: _lognormal(0.3),
    "independent, lognormal 1": lambda: _lognormal(1),
    "queue of 8, load 0.8": lambda: Case(_queue, _true_of_queue, (50_000, 100_000)),
    "gaps, own pace": lambda: Case(_paces, _true_of_paces, (400, 2000, 5000), _GAPS),
}


def main() -> int:
    """Print the table; return 1 where alarms are more than 8 % or what was found is 10 % off the promise."""
    wrong = 0
    sys.stdout.write("| values | n | alarms | promised | found | smallest difference |\n|---|---|---|---|---|---|\n")
    for name, make in CASES.items():
        case = make()
        for count in case.counts:
            each = kept(case, count, _MORE_PAIRS if count <= _SHORT else PAIRS)
            if each.given < each.pairs / 2:
                sys.stdout.write(f"| {name} | {count:,} | none | | | |\n")
                continue
            shares = [number / each.given for number in (each.alarms, each.promised, each.found)]
            wrong += shares[0] > 0.08 or abs(shares[1] - shares[2]) > 0.1
            alarms, promised, found = shares
            sys.stdout.write(
                f"| {name} | {count:,} | {alarms:.1%} | {promised:.0%} | {found:.0%} | {each.visible:.1%} |\n"
            )
            sys.stdout.flush()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
