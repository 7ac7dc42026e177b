"""Where the limit of a search most likely lies, by all of its points together, and how sure that is.

A bracket says what is certain of single points. Points that were too short to be certain know something too: the share
of bad requests grows with the load, and near the limit its log odds are a straight line over the logarithm of the load.
The line is fitted to the points near the limit (logistic regression), each with as many requests as its own are worth.
Some requests are bad at any load: answers that take long by themselves, or fail. Where lower loads show such a share,
more clearly than chance would, the line is one of the others, and a third parameter is that share.
The limit is where the curve crosses the share that is allowed; its interval is Fieller's. A backlog that grew all the
time has no share, only one of how long the run was: such points are left out. A limit outside of the loads that were
fitted would be a guess, and is refused.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otel_llm.load.figures.enough import doubt_of_few
from otel_llm.measures import Floats

__all__ = ["Limit", "Share", "limit_of"]

_NEAR: Final = 1.35
"""By what factor a load may lie beside the limit and still be on the line."""
_ROUNDS: Final = 50
_Z: Final = 1.25 * 1.96
"""Of a normal distribution, 95 %; by a quarter more, as the line is not quite straight (benchmarks/find.py)."""
_MOST_ODDS: Final = 12.0
_STEEP: Final = 20.0
"""The slope that a fit begins with."""
_BETTER: Final = 3.0
"""By how much a share that is bad at any load has to raise the log likelihood to be believed."""


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
    known = [each._replace(worth=each.worth / doubt_of_few(each.worth)) for each in shares if each.worth > 0]
    middle = _crossing(known, allowed)
    for _ in range(3):  # which points are near depends on where the limit is
        if middle is None:
            return None
        below = [each for each in known if each.load <= middle * _NEAR]
        near = [each for each in below if each.load >= middle / _NEAR]
        found = _with_floor(below, middle, allowed) or _fitted(near, middle, allowed)
        if found is None or math.isclose(found.load, middle, rel_tol=1e-3):
            return found
        middle = found.load
    return found


def _crossing(shares: Sequence[Share], allowed: float) -> float | None:
    """Return a load between the highest with fewer bad requests than allowed and the lowest with more."""
    over = [each.load for each in shares if each.bad > allowed]
    under = [each.load for each in shares if each.bad <= allowed]
    return math.sqrt(max(under) * min(over)) if over and under else None


def _with_floor(shares: Sequence[Share], middle: float, allowed: float) -> Limit | None:
    """Return the limit by a curve with a floor; None where one without says as much."""
    if len({each.load for each in shares}) < 4:
        return None
    points = _points(shares, allowed)
    line, curve = (_curve(points, middle, allowed, floor=floor) for floor in (False, True))
    return _limit(curve, points, allowed) if curve.likelihood > line.likelihood + _BETTER else None


def _fitted(shares: Sequence[Share], middle: float, allowed: float) -> Limit | None:
    if len({each.load for each in shares}) < 2:
        return None
    points = _points(shares, allowed)
    return _limit(_curve(points, middle, allowed, floor=False), points, allowed)


class _Points(NamedTuple):
    """loads, and their logarithms about a centre; bad shares, of so many; float64[n] each"""

    loads: Floats
    centre: float
    x: Floats
    share: Floats
    worth: Floats


def _points(shares: Sequence[Share], allowed: float) -> _Points:
    loads, bad, worth = np.array(shares, np.float64).T
    centre = float(np.exp(np.average(np.log(loads), weights=worth)))
    return _Points(loads, centre, np.log(loads / centre), (bad * worth + allowed) / (worth + 1), worth + 1)


class _Curve(NamedTuple):
    """Of the bad share: level and slope of the log odds above the floor, and the floor, float64[3]; their covariance,
    float64[3, 3]; and the log likelihood"""

    parameters: NDArray[Any]
    spread: NDArray[Any]
    likelihood: float


def _limit(curve: _Curve, points: _Points, allowed: float) -> Limit | None:
    """Return where the curve crosses, with Fieller's interval: where its distance is within its own error."""
    level, slope, floor = curve.parameters
    above = (allowed - floor) / (1 - floor)
    by_floor = (allowed - 1) / (1 - floor) ** 2 / (above * (1 - above))
    offset, turn = level - _odds(above), np.array([[1, 0, -by_floor], [0, 1, 0]])
    spread = turn @ curve.spread @ turn.T
    a = slope**2 - _Z**2 * spread[1, 1]
    b = offset * slope - _Z**2 * spread[0, 1]
    c = offset**2 - _Z**2 * spread[0, 0]
    if slope <= 0 or a <= 0 or b * b < a * c:
        return None
    reach = math.sqrt(b * b - a * c) / a
    at, low, high = (points.centre * math.exp(each) for each in (-offset / slope, -b / a - reach, -b / a + reach))
    return Limit(at, low, high) if points.loads.min() <= at <= points.loads.max() else None


def _curve(points: _Points, middle: float, allowed: float, *, floor: bool) -> _Curve:
    """Fit a curve by Fisher's scoring, with steps halved where they go too far. middle: about where the limit is"""
    _, _, x, share, count = points
    free = 3 if floor else 2
    highest = min(float(share.min()), 0.95 * allowed)
    level = _odds(allowed) - _STEEP * math.log(middle / points.centre)
    found: NDArray[Any] = np.array([level, _STEEP, 0.9 * highest if floor else 0.0])
    step: NDArray[Any] = np.zeros(3)
    best = -math.inf
    for _ in range(_ROUNDS):
        tried = found + step
        tried[2] = min(max(tried[2], 0.0), highest)
        odds = np.clip(tried[0] + tried[1] * x, -_MOST_ODDS, _MOST_ODDS)
        grown = 1 / (1 + np.exp(-odds))
        expected = tried[2] + (1 - tried[2]) * grown
        likelihood = float((count * (share * np.log(expected) + (1 - share) * np.log1p(-expected))).sum())
        if likelihood < best:
            step = step / 2
            continue
        done, found, best = likelihood - best < 1e-9, tried, likelihood
        steep = (1 - tried[2]) * grown * (1 - grown)
        slopes = np.stack([steep, x * steep, 1 - grown], axis=1)[:, :free]
        weights = count / (expected * (1 - expected))
        information = (slopes.T * weights) @ slopes + 1e-9 * np.eye(free)
        if done:
            break
        step = np.zeros(3)
        step[:free] = np.linalg.solve(information, slopes.T @ (weights * (share - expected)))
    spread = np.zeros((3, 3))
    spread[:free, :free] = np.linalg.inv(information)
    return _Curve(found, spread, best)


def _odds(share: float) -> float:
    return math.log(share / (1 - share))
