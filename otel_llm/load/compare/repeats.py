"""Several runs of one load, put together.

What the requests of a run have in common (how warm the server was, what else the machine did just then, which prompts
were drawn) more requests of that run do not show, and another run does. So a run is the unit: a figure of several runs
is the mean of theirs, and its interval is Student's by the spread between them. Two groups of runs differ by his test
of two samples, with the spread in both groups together (Student, The probable error of a mean, Biometrika 6, 1908). A
single run beside several is taken to vary as they do.

An interval is never narrower than the intervals of the runs say: runs may be alike by chance.
"""

import math
from collections.abc import Sequence
from itertools import chain
from statistics import fmean

from otel_llm.load.compare.difference import Spread
from otel_llm.load.compare.estimate import Estimate

__all__ = ["mean_of_runs", "spread_between", "within_runs"]


def within_runs(runs: Sequence[Estimate]) -> Estimate:
    """Return the mean of runs with the interval that their own intervals give; a single run as it is.

    An end that one of them lacks is None.
    """
    value = fmean(run.value for run in runs)
    ends = ((run.low, run.high, run.near_low, run.near_high) for run in runs)
    reaches = (
        None
        if None in each
        else math.hypot(*(end - run.value for end, run in zip(each, runs, strict=True))) / len(runs)
        for each in zip(*ends, strict=True)
    )
    sides = (-1, 1, -1, 1)
    return Estimate(
        value, *(None if by is None else value + side * by for by, side in zip(reaches, sides, strict=True))
    )


def mean_of_runs(runs: Sequence[Estimate]) -> Estimate:
    """Return the mean of runs with its 95 % interval; a single run as it is.

    >>> mean_of_runs([Estimate(each, each - 1, each + 1) for each in (90.0, 100.0, 110.0)])
    Estimate(value=100.0, low=75.158..., high=124.841...)
    """
    within = within_runs(runs)
    if len(runs) == 1:
        return within
    own = Spread(_deviation(len(runs) - 1, runs) / math.sqrt(len(runs)), len(runs) - 1).reach()
    down = max(own, 0.0 if within.low is None else within.value - within.low)
    up = max(own, 0.0 if within.high is None else within.high - within.value)
    return Estimate(within.value, max(within.value - down, 0.0), within.value + up)


def spread_between(first: Sequence[Estimate], second: Sequence[Estimate]) -> Spread | None:
    """Return how far the difference of two groups may be off; None of two single runs, which do not show it."""
    degrees = len(first) + len(second) - 2
    if not degrees:
        return None
    return Spread(_deviation(degrees, first, second) * math.sqrt(1 / len(first) + 1 / len(second)), degrees)


def _deviation(degrees: int, *groups: Sequence[Estimate]) -> float:
    """Return the standard deviation of runs about the mean of their group."""
    away = chain.from_iterable(
        ((run.value - middle) ** 2 for run in group)
        for group in groups
        for middle in [fmean(run.value for run in group)]
    )
    return math.sqrt(math.fsum(away) / degrees)
