"""How often the 95 % intervals of a report hold the truth: `python -m benchmarks.coverage` prints a table.

Series whose true percentiles are known are drawn again and again, each is described as a run's values are, and it is
counted how many of the intervals that are given hold the true percentile. Where the values are too few for how much
they depend on each other no interval is given, and that is counted, too.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np

from otel_llm.load.figures.intervals import clustered_intervals
from otel_llm.load.figures.stats import describe
from otel_llm.measures import Floats

__all__ = ["CASES", "Cell", "cells"]

COUNTS: Final = (30, 40, 100, 400, 2000)
QUANTILES: Final = (50, 90, 99)
SERIES: Final = 400
_SLOW: Final = (0.02, 0.1)  # chances that a fast answer is followed by a slow one, and a slow one by a fast one
_TIMES: Final = 10
_GAPS: Final = 60

Random = np.random.Generator


class Case(NamedTuple):
    """draw: n values in their order; truth: the true value at a share of 0 to 1; size: values that a request brings."""

    draw: Callable[[Random, int], Floats]
    truth: Callable[[float], float]
    size: int = 1


class Cell(NamedTuple):
    """Of the series drawn, in how many an interval was given, and how many of those held the truth."""

    values: int
    q: int
    series: int
    given: int
    held: int


def _queue(load: float) -> Case:
    """Return the latencies in an M/M/1 queue, whose mean service takes 1: exponential with rate 1 - load."""

    def draw(random: Random, count: int) -> Floats:
        before = int(60 / (1 - load) ** 2)
        work, gaps = random.exponential(1, count + before), random.exponential(1 / load, count + before)
        steps = np.concatenate(([0.0], np.cumsum(work[:-1] - gaps[1:])))
        found: Floats = (steps - np.minimum.accumulate(steps) + work)[before:]
        return found

    return Case(draw, lambda share: -math.log(1 - share) / (1 - load))


def _autoregression(random: Random, count: int, correlation: float) -> Floats:
    noise = random.normal(size=count) * math.sqrt(1 - correlation**2)
    out, last = np.empty(count), random.normal()
    for i, each in enumerate(noise.tolist()):
        out[i] = last = correlation * last + each
    return out


def _bursts(random: Random, count: int) -> Floats:
    """Return answers that are slow for about ten in a row, once in a while, as while a server is busy otherwise."""
    values, chances = random.exponential(size=count), random.random(count)
    slow = random.random() < _share_of_slow()
    for i, chance in enumerate(chances.tolist()):
        values[i] *= _TIMES if slow else 1
        slow = chance >= _SLOW[1] if slow else chance < _SLOW[0]
    return values


def _share_of_slow() -> float:
    return _SLOW[0] / sum(_SLOW)


def _true_of_bursts(share: float) -> float:
    slow, low, high = _share_of_slow(), 0.0, 1000.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        below = (1 - slow) * -math.expm1(-middle) + slow * -math.expm1(-middle / _TIMES)
        low, high = (middle, high) if below < share else (low, middle)
    return low


def _gaps(correlation: float) -> Case:
    """Return gaps whose pace is an answer's own, and like that of the answer before."""

    def draw(random: Random, count: int) -> Floats:
        pace = np.exp(0.5 * _autoregression(random, count, correlation))
        found: Floats = (pace[:, None] * random.exponential(size=(count, _GAPS))).ravel()
        return found

    many = np.sort(
        draw(np.random.default_rng(11), 60_000) if not correlation else _gaps(0).draw(np.random.default_rng(11), 60_000)
    )
    return Case(draw, lambda share: float(many[int(share * len(many))]), _GAPS)


_normal: Final = NormalDist().inv_cdf

CASES: Final[Mapping[str, Callable[[], Case]]] = {
    "independent": lambda: Case(lambda random, n: random.lognormal(size=n), lambda share: math.exp(_normal(share))),
    "queue, load 0.5": lambda: _queue(0.5),
    "queue, load 0.8": lambda: _queue(0.8),
    "queue, load 0.95": lambda: _queue(0.95),
    "AR(1), 0.5": lambda: Case(lambda random, n: _autoregression(random, n, 0.5), _normal),
    "AR(1), 0.9": lambda: Case(lambda random, n: _autoregression(random, n, 0.9), _normal),
    "bursts": lambda: Case(_bursts, _true_of_bursts),
    "gaps, own pace": lambda: _gaps(0),
    "gaps, pace AR(1) 0.8": lambda: _gaps(0.8),
}


def cells(case: Case, count: int, series: int, seed: int = 7) -> Iterator[Cell]:
    """Yield, for each percentile, how often the interval of `count` values (gaps: requests) holds the truth."""
    random = np.random.default_rng(seed)
    given, held = dict.fromkeys(QUANTILES, 0), dict.fromkeys(QUANTILES, 0)
    for _ in range(series):
        values = case.draw(random, count)
        for q, (low, high) in _intervals(values, case.size, count).items():
            true = case.truth(q / 100)
            given[q] += low is not None or high is not None
            held[q] += (low is not None or high is not None) and (low or -math.inf) <= true <= (
                math.inf if high is None else high
            )
    for q in QUANTILES:
        yield Cell(count, q, series, given[q], held[q])


def _intervals(values: Floats, size: int, count: int) -> dict[int, Any]:
    if size == 1:
        found = describe(values)["ci95"]
        return {q: found[f"p{q}"] for q in QUANTILES}
    ordered = np.sort(values)
    return {
        q: clustered_intervals(ordered, values, [size] * count, q, float(np.percentile(values, q))).ci95
        for q in QUANTILES
    }


def main() -> int:
    """Print the table; return 1 when more than one interval in ten of all series misses the truth anywhere."""
    wrong = 0
    sys.stdout.write("| values | n | p50 | p90 | p99 |\n|---|---|---|---|---|\n")
    for name, make in CASES.items():
        case = make()
        for count in COUNTS:
            row = list(cells(case, count, SERIES if count < 1000 else SERIES // 2))
            wrong += sum(cell.given - cell.held > cell.series / 10 for cell in row)
            sys.stdout.write(f"| {name} | {count:,} | {' | '.join(map(_shown, row))} |\n")
            sys.stdout.flush()
    return 1 if wrong else 0


def _shown(cell: Cell) -> str:
    if cell.given < cell.series / 50:
        return "none"
    right = 1 - (cell.given - cell.held) / cell.series
    return f"{right:.0%}" if cell.given == cell.series else f"{right:.0%} ({cell.given / cell.series:.0%} given)"


if __name__ == "__main__":
    sys.exit(main())
