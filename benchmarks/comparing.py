"""How often a comparison errs: `python -m benchmarks.comparing` prints a table.

Pairs of series are drawn. In half of them both come from one distribution: what is said to differ is a false alarm. In
the other half the second is larger by the smallest difference that the comparison of such series says it can see: four
of five of them should be found.
"""

import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from benchmarks.coverage import CASES, QUANTILES, Case
from otel_llm.load.compare.difference import Difference, Estimate, difference_of
from otel_llm.load.figures.intervals import clustered_interval
from otel_llm.load.figures.stats import describe
from otel_llm.measures import Floats

__all__ = ["Outcome", "outcomes"]

COUNTS: Final = (400, 2000)
PAIRS: Final = 200


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


def outcomes(case: Case, count: int, pairs: int, seed: int = 5) -> Iterator[Outcome]:
    """Yield what becomes of pairs of series of so many values (gaps: requests), for each percentile."""
    random = np.random.default_rng(seed)
    drawn = [(case.draw(random, count), case.draw(random, count)) for _ in range(pairs)]
    for q in QUANTILES:
        alike = [_difference(one, other, case.size, q) for one, other in drawn]
        given = [each for each in alike if each.visible is not None]
        if not given:
            yield Outcome(q, pairs, 0, 0, 0, 0, 0.0)
            continue
        visible = float(np.median([each.visible for each in given if each.visible is not None]))
        # a shift, not a factor: it leaves the ranks, and so how much values depend on each other
        moved = [_difference(one, other + visible, case.size, q) for one, other in drawn]
        judged = [each for each in moved if each.visible is not None]
        yield Outcome(
            q, pairs, len(given), sum(map(_differs, given)), sum(map(_differs, judged)), len(judged),
            visible / abs(case.truth(q / 100)) if case.truth(q / 100) else visible,
        )  # fmt: skip


def _difference(one: Floats, other: Floats, size: int, q: int) -> Difference:
    return difference_of(_estimate(one, size, q), _estimate(other, size, q), comparisons=1, less_is_better=True)


def _estimate(values: Floats, size: int, q: int) -> Estimate:
    at = float(np.percentile(values, q))
    if size == 1:
        low, high = describe(values)["ci95"][f"p{q}"]
        return Estimate(at, low, high)
    return Estimate(at, *clustered_interval(np.sort(values), values, [size] * (len(values) // size), q, at))


def _differs(each: Difference) -> bool:
    return each.verdict in ("better", "worse")


def main() -> int:
    """Print the table; return 1 when more than 8 % of the pairs of one distribution are said to differ anywhere."""
    wrong = 0
    sys.stdout.write("| values | n | percentile | alarms | found | smallest difference |\n|---|---|---|---|---|---|\n")
    for name, make in CASES.items():
        case = make()
        for count in COUNTS:
            for each in outcomes(case, count, PAIRS):
                if each.given < each.pairs / 2:
                    continue
                wrong += each.alarms > 0.08 * each.given
                sys.stdout.write(
                    f"| {name} | {count:,} | p{each.q} | {each.alarms / each.given:.1%} | "
                    f"{each.found / each.shifted:.0%} | {each.visible:.0%} |\n"
                )
                sys.stdout.flush()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
