"""Where the limit of a search most likely lies, by all of its points together, and how sure that is.

A bracket says what is certain of single points. Points that were too short to be certain know something too: the share
of bad requests grows with the load, and near the limit its log odds are a straight line over the logarithm of the load.
The line is fitted to the points near the limit (logistic regression), each with as many requests as its own are worth.
The limit is where the line crosses the share that is allowed; its interval is Fieller's. A backlog that grew all the
time has no share, only one of how long the run was: such points are left out. A limit outside of the loads that were
fitted would be a guess, and is refused.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otel_llm.measures import Floats

__all__ = ["Limit", "Share", "limit_of"]

_NEAR: Final = 1.35
"""By what factor a load may lie beside the limit and still be on the line."""
_ROUNDS: Final = 50
_Z: Final = 1.25 * 1.96
"""Of a normal distribution, 95 %; by a quarter more, as the line is not quite straight (benchmarks/find.py)."""
_MOST_ODDS: Final = 12.0


class Share(NamedTuple):
    """The share of bad requests at a load, and how many independent requests say so."""

    load: float
    bad: float
    worth: float


class Limit(NamedTuple):
    """The load at which as many requests are bad as may be, and its 95 % interval."""

    load: float
    low: float
    high: float


def limit_of(shares: Sequence[Share], allowed: float) -> Limit | None:
    """Return the limit; None where the points do not say. allowed: the share of bad requests, above 0 and below 1

    >>> limit_of([Share(90, 0.05, 1000), Share(110, 0.2, 1000)], 0.1).load
    99.9
    """
    known = [each for each in shares if each.worth > 0]
    middle = _crossing(known, allowed)
    for _ in range(3):  # which points are near depends on where the limit is
        if middle is None:
            return None
        near = [each for each in known if middle / _NEAR <= each.load <= middle * _NEAR]
        found = _fitted(near, allowed)
        if found is None or math.isclose(found.load, middle, rel_tol=1e-3):
            return found
        middle = found.load
    return found


def _crossing(shares: Sequence[Share], allowed: float) -> float | None:
    """Return a load between the highest with fewer bad requests than allowed and the lowest with more."""
    over = [each.load for each in shares if each.bad > allowed]
    under = [each.load for each in shares if each.bad <= allowed]
    return math.sqrt(max(under) * min(over)) if over and under else None


def _fitted(shares: Sequence[Share], allowed: float) -> Limit | None:
    if len({each.load for each in shares}) < 2:
        return None
    loads, bad, worth = np.array(shares, np.float64).T
    centre = float(np.exp(np.average(np.log(loads), weights=worth)))
    x, count = np.log(loads / centre), worth + 1
    (level, slope), spread = _line(x, (bad * worth + allowed) / count, count, _odds(allowed))
    offset = level - _odds(allowed)
    # Fieller: where the line's distance to the allowed share is within its own error
    a = slope**2 - _Z**2 * spread[1, 1]
    b = offset * slope - _Z**2 * spread[0, 1]
    c = offset**2 - _Z**2 * spread[0, 0]
    if slope <= 0 or a <= 0 or b * b < a * c:
        return None
    reach = math.sqrt(b * b - a * c) / a
    at, low, high = (centre * math.exp(each) for each in (-offset / slope, -b / a - reach, -b / a + reach))
    return Limit(at, low, high) if loads.min() <= at <= loads.max() else None


def _line(x: Floats, share: Floats, count: Floats, level: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return level and slope of the log odds of `share` over x, float64[2], and their covariance, float64[2, 2]."""
    columns = np.stack([np.ones_like(x), x], axis=1)
    line: NDArray[Any] = np.array([level, 0.0])
    step: NDArray[Any] = np.zeros(2)
    best = -math.inf
    for _ in range(_ROUNDS):
        odds = np.clip(columns @ (line + step), -_MOST_ODDS, _MOST_ODDS)
        likelihood = float((count * (share * odds - np.logaddexp(0, odds))).sum())
        if likelihood < best:
            step /= 2
            continue
        done = likelihood - best < 1e-9
        line, best = line + step, likelihood
        expected = 1 / (1 + np.exp(-odds))
        information = (columns.T * (count * expected * (1 - expected))) @ columns
        if done:
            break
        step = np.linalg.solve(information, columns.T @ (count * (share - expected)))
    return line, np.linalg.inv(information)


def _odds(share: float) -> float:
    return math.log(share / (1 - share))
