"""How often a comparison errs: `python -m benchmarks.comparing` prints a table.

Pairs of series are drawn. In half of them both come from one distribution: what is said to differ is a false alarm. In
the other half the second is larger by the smallest difference that the comparison of such series says it can see: four
of five of them should be found. So are pairs of runs that sent the same prompts, compared as if they had not, and
paired.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np

from benchmarks.coverage import CASES, QUANTILES, Case, Random
from otel_llm.load.compare.difference import Difference, difference_of
from otel_llm.load.compare.estimate import Estimate
from otel_llm.load.compare.pairing import correlation_of
from otel_llm.load.figures.intervals import clustered_intervals
from otel_llm.load.figures.stats import describe
from otel_llm.measures import Floats

__all__ = ["PAIRED", "Outcome", "difference_at", "estimate_of", "is_found", "outcomes", "paired_outcomes"]

COUNTS: Final = (400, 2000)
PAIRS: Final = 1000


class Outcome(NamedTuple):
    """Of the pairs: how many had an interval, how many of those were false alarms; of shifted ones, how many found.

    visible: the smallest difference that was promised to be seen, a share of the true value; the middle one
    """

    q: int
    pairs: int
    given: int
    alarms: int
    found: int
    shifted: int
    visible: float


Draw = Callable[[Random, int], tuple[Floats, Floats]]


def outcomes(case: Case, count: int, pairs: int, seed: int = 5) -> Iterator[Outcome]:
    """Yield what becomes of pairs of series of so many values (gaps: requests), for each percentile."""
    for found in _outcomes(
        lambda r, n: (case.draw(r, n), case.draw(r, n)), count, pairs, seed, case.size, paired=False
    ):
        true = abs(case.truth(found.q / 100))
        yield found._replace(visible=found.visible / true) if true else found


def paired_outcomes(name: str, count: int, pairs: int, *, paired: bool = True, seed: int = 5) -> Iterator[Outcome]:
    """Yield what becomes of pairs of runs that sent the same prompts; `visible` is in units of the values."""
    yield from _outcomes(PAIRED[name], count, pairs, seed, 1, paired=paired)


def _outcomes(draw: Draw, count: int, pairs: int, seed: int, size: int, *, paired: bool) -> Iterator[Outcome]:
    random = np.random.default_rng(seed)
    drawn = [draw(random, count) for _ in range(pairs)]
    for q in QUANTILES:
        alike = [difference_at(one, other, size, q, paired=paired) for one, other in drawn]
        given = [each for each in alike if each.visible is not None]
        if not given:
            yield Outcome(q, pairs, 0, 0, 0, 0, 0.0)
            continue
        visible = float(np.median([each.visible for each in given if each.visible is not None]))
        # a shift, not a factor: it leaves the ranks, and so how much values depend on each other
        moved = [difference_at(one, other + visible, size, q, paired=paired) for one, other in drawn]
        judged = [each for each in moved if each.visible is not None]
        yield Outcome(q, pairs, len(given), sum(map(is_found, given)), sum(map(is_found, judged)), len(judged), visible)


def _same_prompts(random: Random, count: int) -> tuple[Floats, Floats]:
    """Return latencies that the length of the prompt makes, but for a fifth."""
    lengths = random.lognormal(0, 0.8, count)
    one, other = (lengths * random.lognormal(0, 0.2, count) for _ in range(2))
    return one, other


def _same_prompts_queued(random: Random, count: int) -> tuple[Floats, Floats]:
    """Return latencies in a queue at a load of 0.8: the same arrivals and, but for a fifth, the same work."""
    before = 1500
    lengths, gaps = random.lognormal(0, 0.5, count + before), random.exponential(1, count + before)
    return _waited(random, lengths, gaps)[before:], _waited(random, lengths, gaps)[before:]


def _waited(random: Random, lengths: Floats, gaps: Floats) -> Floats:
    work = lengths * random.lognormal(0, 0.2, len(lengths))
    work *= 0.8 / np.exp(0.5**2 / 2 + 0.2**2 / 2)
    steps = np.concatenate(([0.0], np.cumsum(work[:-1] - gaps[1:])))
    found: Floats = steps - np.minimum.accumulate(steps) + work
    return found


PAIRED: Final[Mapping[str, Draw]] = {
    "same prompts": _same_prompts,
    "same prompts and arrivals, queue, load 0.8": _same_prompts_queued,
}
"""Each draws two runs of one server that sent the same prompts."""


def difference_at(one: Floats, other: Floats, size: int, q: int, *, paired: bool = False) -> Difference:
    """Return the difference of a percentile of two series. size: values that a request brings"""
    first, second = estimate_of(one, size, q), estimate_of(other, size, q)
    below = [(values <= each.value).astype(float) for values, each in ((one, first), (other, second))]
    alike = correlation_of(*below) if paired else 0.0
    return difference_of(first, second, comparisons=1, less_is_better=True, correlation=alike)


def estimate_of(values: Floats, size: int, q: int) -> Estimate:
    """Return a percentile of a series with its interval. size: values that a request brings"""
    at = float(np.percentile(values, q))
    if size == 1:
        found = describe(values)
        return Estimate(at, *found["ci95"][f"p{q}"], *found["ci83"][f"p{q}"])
    both = clustered_intervals(np.sort(values), values, [size] * (len(values) // size), q, at)
    return Estimate(at, *both.ci95, *both.ci83)


def is_found(each: Difference) -> bool:
    """Return whether it is said to be one."""
    return each.verdict in ("better", "worse")


def main() -> int:
    """Print the tables; return 1 when more than 8 % of the pairs of one distribution are said to differ anywhere."""
    wrong = 0
    sys.stdout.write("| values | n | percentile | alarms | found | smallest difference |\n|---|---|---|---|---|---|\n")
    for name, make in CASES.items():
        case = make()
        for count in COUNTS:
            wrong += _print(name, count, outcomes(case, count, PAIRS), "{:.0%}")
    for name in PAIRED:
        for count in COUNTS:
            for paired in (False, True):
                found = paired_outcomes(name, count, PAIRS, paired=paired)
                wrong += _print(f"{name}{', paired' if paired else ''}", count, found, "{:.3f}")
    return 1 if wrong else 0


def _print(name: str, count: int, found: Iterator[Outcome], visible: str) -> int:
    """Print rows; return how many have too many alarms."""
    wrong = 0
    for each in found:
        if each.given < each.pairs / 2:
            continue
        wrong += each.alarms > 0.08 * each.given
        sys.stdout.write(
            f"| {name} | {count:,} | p{each.q} | {each.alarms / each.given:.1%} | "
            f"{each.found / each.shifted:.0%} | {visible.format(each.visible)} |\n"
        )
        sys.stdout.flush()
    return wrong


if __name__ == "__main__":
    sys.exit(main())
