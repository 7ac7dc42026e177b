"""Which load to try next, to find the highest that holds: pure, so that the same answers lead to the same loads.

It is assumed that what holds at a load holds at every lower one. First the load doubles, or halves, until one holds and
one breaks. A point that was too short to be sure, and in which hardly a request was bad, is taken for one that holds as
far as the way goes on: at a lower load fewer requests come, and it would be less sure. Then the share of bad requests
at the two ends, a straight line in log odds over the logarithm of the load, says where it is as large as it may be, and
the next loads lie half of the precision to either side of that place: at the place itself no test would ever be sure.
Where that moves the same end twice, the share is no such line, and the middle of the bracket is tried.
A load at which the client was the limit is tried once more before that is believed: the machine may have been busy.
The search ends when the bracket is narrow enough. Where a point stayed unsure, so that it will not be, it ends once all
points together say where the limit is (`limit`), as exactly as the bracket was to be.
"""

import math
from typing import Final, Literal, NamedTuple

from otel_llm.load.study.limit import Limit, Share, limit_of

__all__ = ["Answer", "Outcome", "Search"]

Outcome = Literal["holds", "breaks", "unsure", "void"]

_MOST: Final = 24
_VOID: Final = 4
_DEEPEST: Final = 1 / 1024
_ENOUGH: Final = 1.25
"""How wide the interval of the limit may be, times the precision, when a search ends that stays unsure."""


class Answer(NamedTuple):
    """What came of a load.

    bad: the share of bad requests there, as far as it is known; worth: so many independent requests say so, 0 where the
    backlog grew all the time, so that the share is one of how long the point was
    """

    load: float
    outcome: Outcome
    bad: float
    worth: float = 0.0


class Search:
    """Ask `next` for a load, try it, and `tell` what came of it, until there is none.

    first:     the load to begin with
    precision: how far apart, as a share, the loads that holds and that breaks may be in the end
    whole:     whether loads are whole numbers
    bad:       the share of bad requests that is allowed
    highest:   no load above it is tried
    """

    def __init__(
        self, first: float, bad: float, *, precision: float = 0.05, whole: bool = False, highest: float = math.inf
    ) -> None:
        self._first, self._bad, self._whole, self._highest = first, bad, whole, highest
        self._step = math.log1p(precision)
        self.answers: list[Answer] = []

    def tell(self, answer: Answer) -> None:
        """Take what came of a load."""
        self.answers.append(answer)

    @property
    def holds(self) -> float | None:
        """The highest load that holds, below all that break; None so far."""
        breaks = self.breaks
        found = [a.load for a in self.answers if a.outcome == "holds" and (breaks is None or a.load < breaks)]
        return max(found, default=None)

    @property
    def breaks(self) -> float | None:
        """The lowest load that breaks; None so far."""
        return min((a.load for a in self.answers if a.outcome == "breaks"), default=None)

    @property
    def limit(self) -> Limit | None:
        """Where the limit most likely lies, by all points together; None where they do not say."""
        shares = [Share(a.load, a.bad, a.worth) for a in self.answers if a.outcome != "void"]
        return limit_of(shares, self._bad)

    def next(self) -> float | None:
        """Return the load to try; None when nothing more is to be learnt, or too much was tried."""
        if not self.answers:
            return min(self._first, self._highest)
        if len(self.answers) >= _MOST:
            return None
        if self._void_once:
            return self.answers[-1].load
        low, high = self.holds or self._seems_to_hold, self.breaks
        if low is None:
            return self._lower(min(a.load for a in self.answers))
        if high is None:
            return self._higher(low)
        return self._between(low, high)

    @property
    def _void_once(self) -> bool:
        """Whether the client was the limit at the last load, which was tried but this once."""
        last = self.answers[-1]
        return last.outcome == "void" and all(a.load != last.load for a in self.answers[:-1])

    @property
    def _seems_to_hold(self) -> float | None:
        """The highest load, below all that break, that is unsure for want of requests alone; None so far."""
        found = [a for a in self.answers if a.outcome == "unsure" and a.bad < self._bad]
        return max((a.load for a in found if self.breaks is None or a.load < self.breaks), default=None)

    def _lower(self, lowest: float) -> float | None:
        """Return half of the lowest load that was tried; None when a client that is the limit will stay it."""
        if [a.outcome for a in self.answers[-_VOID:]] == ["void"] * _VOID:
            return None
        load = self._rounded(lowest / 2)
        return load if load >= self._first * _DEEPEST and load < lowest else None

    def _higher(self, low: float) -> float | None:
        """Return twice as much as was tried; where the client was the limit, a load below that."""
        last = {a.load: a.outcome for a in self.answers}
        if (limit := min((load for load, outcome in last.items() if outcome == "void"), default=None)) is not None:
            below = max(a.load for a in self.answers if a.load < limit)
            return self._inside(below, limit, math.sqrt(below * limit))
        most = max(a.load for a in self.answers)
        load = self._rounded(min(most * 2, self._highest))
        return load if load > most else None

    def _between(self, low: float, high: float) -> float | None:
        unsure = sorted(a.load for a in self.answers if low < a.load < high)
        if unsure:
            limit = self.limit
            if (
                self.holds is not None
                and limit is not None
                and math.log(limit.high / limit.low) <= _ENOUGH * self._step
            ):
                return None
            gaps = ((low, unsure[0]), (unsure[-1], high))
            wide = max(gaps, key=lambda gap: gap[1] / gap[0])
            return self._inside(*wide, math.sqrt(wide[0] * wide[1]))
        if self._stuck:
            return self._inside(low, high, math.sqrt(low * high))
        place = self._place(low, high)
        below, above = place * math.exp(-self._step / 2), place * math.exp(self._step / 2)
        near = 1 + self._step / 4
        return self._inside(low, high, below if below > low * near else above)

    @property
    def _stuck(self) -> bool:
        """Whether the same end moved twice, since both were known: then the share is no straight line between them."""
        known = [{a.outcome for a in self.answers[: at + 1]} >= {"holds", "breaks"} for at in range(len(self.answers))]
        last = [a.outcome for a in self.answers[known.index(True) + 1 :][-2:]] if any(known) else []
        return last in (["holds", "holds"], ["breaks", "breaks"])

    def _inside(self, low: float, high: float, load: float) -> float | None:
        """Return the load, moved to lie well between the two; None where they are as near as they have to be."""
        gap = math.log(high / low)
        if gap <= self._step * 1.001:
            return None
        margin = min(gap / 4, self._step / 2)
        load = self._rounded(min(max(load, low * math.exp(margin)), high * math.exp(-margin)))
        return load if low < load < high else None

    def _place(self, low: float, high: float) -> float:
        """Return where the share of bad requests should be as large as it may be."""
        (x0, y0), (x1, y1) = ((math.log(load), self._odds(load)) for load in (low, high))
        if y1 <= y0:
            return math.exp((x0 + x1) / 2)
        return math.exp(x0 + (x1 - x0) * min(max((_odds(self._bad) - y0) / (y1 - y0), 0), 1))

    def _odds(self, load: float) -> float:
        return _odds(next(a.bad for a in reversed(self.answers) if a.load == load))

    def _rounded(self, load: float) -> float:
        if self._whole:
            return max(round(load), 1)
        return float(f"{load:.3g}")


def _odds(share: float) -> float:
    return math.log(share / (1 - share))
