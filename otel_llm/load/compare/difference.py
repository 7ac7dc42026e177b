"""The difference of two figures, from the 95 % interval that each of them has.

The interval of the difference is put together of how far each figure may be off, as its own intervals say (`estimate`).
So it needs nothing but what a report says, and what those intervals know of values that depend on each other, or of
gaps that come many to a request, is in it. For shares of requests it is the method of R. G. Newcombe, Interval
estimation for the difference between independent proportions, Statistics in Medicine 17 (1998), method 10.

Where there are several runs of one load, their spread has a say too (`repeats`): the interval reaches as far as the
wider of the two.

`benchmarks/comparing.py` counts how often runs of one server are said to differ, and how often a true difference is
found.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Literal, NamedTuple

from otel_llm.load.compare.estimate import Estimate, away, together
from otel_llm.load.figures.student import student_quantile

__all__ = ["Difference", "Spread", "Verdict", "difference_of", "share_estimate"]

_Z: Final = NormalDist().inv_cdf(0.975)
_FOUND: Final = 0.8
_SEEN: Final = 1 + NormalDist().inv_cdf(_FOUND) / _Z
"""A true difference of so many half intervals is found in four of five comparisons."""

Verdict = Literal["better", "worse", "perhaps better", "perhaps worse", "no evidence", "too few values", "no interval"]


class Spread(NamedTuple):
    """How far the difference of two groups of runs may be off, by how much runs of one load differ.

    error: its standard error; degrees: of freedom that this is known with
    """

    error: float
    degrees: int

    def reach(self, comparisons: int = 1) -> float:
        """Return how far the 95 % interval reaches, wide enough for so many comparisons at once."""
        return self.error * student_quantile(1 - 0.025 / comparisons, self.degrees)

    @property
    def visible(self) -> float:
        """The smallest true difference that four of five comparisons find."""
        return self.reach() + self.error * student_quantile(_FOUND, self.degrees)


@dataclass(frozen=True, slots=True)
class Difference:
    """What the second run has more than the first, in the unit of the figure.

    share:     of the first run's figure; None where that is 0
    low, high: of its 95 % interval; None where the values of a run are too few for that end
    visible:   the smallest true difference that four of five such comparisons find; None likewise
    verdict:   `better` and `worse` hold among all comparisons made beside it, `perhaps` only for this one alone;
               `no interval` where one of the figures came without one
    """

    by: float
    share: float | None
    low: float | None
    high: float | None
    visible: float | None
    verdict: Verdict


def difference_of(
    first: Estimate,
    second: Estimate,
    *,
    comparisons: int,
    less_is_better: bool,
    correlation: float = 0.0,
    spread: Spread | None = None,
) -> Difference:
    """Return how the second figure differs from the first.

    comparisons: how many are made at once, itself included; correlation: of the two figures, -1 to 1
    spread:      of the runs, where there are several of one load
    """
    by = second.value - first.value
    within = (
        together(away(second, up=False), away(first, up=True), correlation),
        together(away(second, up=True), away(first, up=False), correlation),
    )
    down, up = (_reach(each, spread, 1) for each in within)
    toward_0 = within[0 if by > 0 else 1]
    return Difference(
        by,
        by / first.value if first.value else None,
        None if down is None else by - down,
        None if up is None else by + up,
        _visible(within, spread),
        "too few values"
        if down is None and up is None
        else _verdict(
            by, _reach(toward_0, spread, 1), _reach(toward_0, spread, comparisons), less_is_better=less_is_better
        ),
    )


def share_estimate(count: int, of: int) -> Estimate:
    """Return the share of requests that something happened to, by E. B. Wilson (1927).

    >>> share_estimate(0, 100)
    Estimate(value=0.0, low=0.0, high=0.037...)
    """
    share = count / of
    middle, reach = count + _Z**2 / 2, _Z * math.sqrt(of * share * (1 - share) + _Z**2 / 4)
    low, high = ((middle + side * reach) / (of + _Z**2) for side in (-1, 1))
    return Estimate(share, max(low, 0.0) if count else 0.0, high if count < of else 1.0)


def _reach(within: float | None, spread: Spread | None, comparisons: int) -> float | None:
    """Return how far an interval reaches that misses in 5 % of so many comparisons, all together.

    within: how far that of one comparison reaches by what the runs themselves say
    """
    wider = NormalDist().inv_cdf(1 - 0.025 / comparisons) / _Z
    found = [] if within is None else [within * wider]
    return max([*found, *([] if spread is None else [spread.reach(comparisons)])], default=None)


def _visible(within: tuple[float | None, float | None], spread: Spread | None) -> float | None:
    down, up = within
    found = [] if down is None or up is None else [(down + up) / 2 * _SEEN]
    return max([*found, *([] if spread is None else [spread.visible])], default=None)


def _verdict(by: float, alone: float | None, among: float | None, *, less_is_better: bool) -> Verdict:
    """Return the verdict. alone, among: how far the interval reaches towards 0, alone and among all comparisons"""
    if by == 0:
        return "no evidence"
    if alone is None or among is None:
        return "too few values"
    worse = (by > 0) == less_is_better
    if abs(by) > among:
        return "worse" if worse else "better"
    if abs(by) > alone:
        return "perhaps worse" if worse else "perhaps better"
    return "no evidence"
