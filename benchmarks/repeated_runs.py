"""How often a comparison errs where runs of one server differ: `python -m benchmarks.repeated_runs` prints a table.

Each run has a factor of its own, as the moment and the machine give it, and its requests vary about that. Pairs of
groups of such runs come from one server: what is said to differ is a false alarm. They are compared three ways: the
first runs alone, as if they were all there is; all requests of a group taken for one run; and run by run (`repeats`).
Then the second group is made slower by the smallest difference that the last of these says it can see.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from benchmarks.comparing import difference_at, estimate_of, is_found
from otel_llm.load.compare.difference import Difference, difference_of
from otel_llm.load.compare.estimate import Estimate
from otel_llm.load.compare.repeats import spread_between, within_runs
from otel_llm.measures import Floats

__all__ = ["Alarms", "alarms"]

PAIRS: Final = 200
_REQUESTS: Final = 1000
_VARIES: Final = 0.3

Group = Sequence[Floats]


class Alarms(NamedTuple):
    """Of the pairs: how many are false alarms each way, how many moved ones are found by the last.

    visible: the smallest difference that it promises to see, the middle one, a share of the median
    """

    pairs: int
    alone: int
    pooled: int
    by_runs: int
    found: int
    visible: float


def alarms(runs: int, differ: float, pairs: int = PAIRS, q: int = 50, seed: int = 3) -> Alarms:
    """Return what becomes of pairs of groups of so many runs. differ: the deviation of a run's factor"""
    random = np.random.default_rng(seed)
    drawn = [tuple(list(_runs(random, runs, differ)) for _ in range(2)) for _ in range(pairs)]
    alone = [difference_at(one[0], other[0], 1, q) for one, other in drawn]
    pooled = [difference_at(np.concatenate(one), np.concatenate(other), 1, q) for one, other in drawn]
    by_runs = [_by_runs(one, other, q) for one, other in drawn]
    visible = float(np.median([each.visible for each in by_runs if each.visible is not None]))
    moved = [_by_runs(one, [run + visible for run in other], q) for one, other in drawn]
    found = [sum(map(is_found, each)) for each in (alone, pooled, by_runs, moved)]
    return Alarms(pairs, found[0], found[1], found[2], found[3], visible)


def _runs(random: np.random.Generator, runs: int, differ: float) -> Iterator[Floats]:
    for _ in range(runs):
        yield random.lognormal(0, differ) * random.lognormal(0, _VARIES, _REQUESTS)


def _by_runs(first: Group, second: Group, q: int) -> Difference:
    one, other = _estimates(first, q), _estimates(second, q)
    return difference_of(
        within_runs(one), within_runs(other), comparisons=1, less_is_better=True, spread=spread_between(one, other)
    )


def _estimates(group: Group, q: int) -> list[Estimate]:
    return [estimate_of(run, 1, q) for run in group]


def main() -> int:
    """Print the table; return 1 when more than 8 % of the pairs compared run by run are alarms anywhere."""
    wrong = 0
    sys.stdout.write(
        "| runs differ by | runs a side | one run each | requests of all | run by run | found | smallest difference |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    for differ in (0.0, 0.01, 0.1):
        for runs in (2, 3, 5, 10):
            each = alarms(runs, differ)
            wrong += each.by_runs > 0.08 * each.pairs
            shares = (each.alone, each.pooled, each.by_runs)
            sys.stdout.write(
                f"| {differ:.0%} | {runs} | {' | '.join(f'{share / each.pairs:.1%}' for share in shares)} | "
                f"{each.found / each.pairs:.0%} | {each.visible:.1%} |\n"
            )
            sys.stdout.flush()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
