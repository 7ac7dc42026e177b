"""Whether a server kept up with an open loop: does the number of unanswered requests grow as long as more are asked?

The backlog at a moment is what was asked by then and had not ended. Of a server that keeps up it goes up and down; of
one that does not it grows by what is asked beyond what ends. The time in which requests were asked is cut into twenty
parts. The growth of the backlog in them has a mean and a spread between parts, and from these an interval: growth that
is all in one part, as when a server stops for a moment, proves nothing. In balance, growth in one part is followed by
decline in another, so the interval is wider than it had to be, and the error is on the safe side.

An idle server fills first: until its first requests have ended, the backlog grows at any load. So the first part begins
after twice the time that nine in ten of the first requests took, when there was hardly a queue. A run in which that is
more than half of the time says nothing. How often the verdict is right: `benchmarks/overload.py`.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from otel_llm.load.figures.batch_means import PARTS, mean_of_parts
from otel_llm.measures import Floats

__all__ = ["Overload", "filled_after", "judge_overload"]

_FIRST: Final = 20
_FEWEST: Final = 100
"""Requests asked in the parts: five in each."""
_SLIGHT: Final = 0.01
"""A backlog that grows by less than this share of what is asked is not worth a verdict."""


@dataclass(frozen=True, slots=True)
class Overload:
    """What became of the backlog between two moments of a run.

    since_s, until_s: the moments, seconds from the first request asked
    asked:            requests asked per second between them
    ended:            requests that ended per second between them, in whatever way
    backlog:          asked and not ended, at either moment
    unsent:           of them, those that were not sent either
    growth, ci95:     of the backlog, requests per second, and the 95 % interval of it
    latency:          median seconds from asked to ended, of the first and the last tenth asked; None: most did not end
    """

    since_s: float
    until_s: float
    asked: float
    ended: float
    backlog: tuple[int, int]
    unsent: tuple[int, int]
    growth: float
    ci95: tuple[float, float]
    latency: tuple[float | None, float | None]

    @property
    def overloaded(self) -> bool:
        """Whether the backlog grew all the time. False is no proof that it would not have, in a longer run."""
        low, _ = self.ci95
        return low > 0 and self.growth >= _SLIGHT * self.asked

    @property
    def by_client(self) -> bool:
        """Whether most of the growth had not been sent: this client, or its limit on concurrency, held it back."""
        return self.unsent[1] - self.unsent[0] > (self.backlog[1] - self.backlog[0]) / 2


def filled_after(took: Floats) -> float:
    """Return after how many seconds an idle server is full: twice what nine in ten of its first requests took.

    took: how long each request took, in the order in which they came, float64[n]; inf for one that did not end
    """
    return 2 * float(np.quantile(took[:_FIRST], 0.9, method="higher"))


def judge_overload(asked_s: Floats, sent_s: Floats, ended_s: Floats) -> Overload | None:
    """Return what became of the backlog of an open loop; None where the run was too short to say.

    float64[n] each, seconds on one clock, in any order: when a request was meant to be sent, was sent, and ended in
    whatever way. NaN or inf stands for what did not happen.
    """
    if len(asked_s) < _FEWEST:
        return None
    order = np.argsort(asked_s, kind="stable")
    asked, sent, ended = (
        np.nan_to_num(each[order] - asked_s[order[0]], nan=math.inf) for each in (asked_s, sent_s, ended_s)
    )
    took = ended - asked
    since, until = filled_after(took), float(asked[-1])
    if not since <= until / 2:
        return None
    edges = np.linspace(since, until, PARTS + 1)
    by = [np.searchsorted(each, edges, side="right") for each in (asked, np.sort(sent), np.sort(ended))]
    came, left, over = (each.astype(np.int64) for each in by)
    if came[-1] - came[0] < _FEWEST:
        return None
    seconds, backlog, unsent = until - since, came - over, came - left
    growth, reach = mean_of_parts(np.diff(backlog) * (PARTS / seconds))
    tenth = max(len(asked) // 10, 1)
    return Overload(
        since_s=since,
        until_s=until,
        asked=float(came[-1] - came[0]) / seconds,
        ended=float(over[-1] - over[0]) / seconds,
        backlog=(int(backlog[0]), int(backlog[-1])),
        unsent=(int(unsent[0]), int(unsent[-1])),
        growth=growth,
        ci95=(growth - reach, growth + reach),
        latency=(_median(took[:tenth]), _median(took[-tenth:])),
    )


def _median(took: Floats) -> float | None:
    middle = float(np.median(took))
    return middle if math.isfinite(middle) else None
