"""A figure that is known by its intervals, and how far two of them together may be off.

Each figure may be off by as much as its intervals say: by the distance to the end of the 83 % one after 1.386 standard
errors, to that of the 95 % one after 1.96, and between and beyond by the power of them that passes through both. Both
figures together are off by 1.96 standard errors where the squares of theirs add up to 1.96². Of all the ways in which
they can be, the one counts in which their difference is furthest off: the difference has an interval of 95 % then.

So it is for two figures of normal distribution, where distances are in proportion to errors and add up like the sides
of a right-angled triangle (G. Y. Zou and A. Donner, Statistics in Medicine 27, 2008). Of figures of which only one
interval is known that is what is reckoned with. But a p99 of few values is further off above than below, and more so
the further off it is: that triangle has it wrong, and seldom says that anything differs. Of two runs of one size both
are off by 1.386 errors, which is where their 83 % intervals touch; then no more than the order of all their values
together decides, and that is known whatever their distribution is.

Where the figures are alike (`pairing`), what both have in common is taken out: the angle is then no right one, and the
circle is an ellipse (G. Y. Zou, Psychological Methods 12, 2007).
"""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from otel_llm.load.figures.enough import TOUCHING
from otel_llm.measures import Floats

__all__ = ["Away", "Estimate", "away", "together"]

_STEPS: Final = 720
_POWERS: Final = (0.8, 1.25)
"""An interval that seems to bend more does so by chance, where few values decide its ends."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure of a run with its 95 % interval, and its 83 % one where that is known. An end not given is None."""

    value: float
    low: float | None
    high: float | None
    near_low: float | None = None
    near_high: float | None = None


class Away(NamedTuple):
    """How far a figure may be off to one side. far: to the end of its 95 % interval; near: of its 83 % one, or None

    back: the same of its other side, None where that has no end
    """

    far: float
    near: float | None
    back: tuple[float, float] | None = None

    def after(self, errors: Floats) -> Floats:
        """Return how far it is off after so many standard errors, float64[n]; negative where they are."""
        back = self.back or (self.far, self.near or 0.0)
        return np.where(errors < 0, -_power(*back, -errors), _power(self.far, self.near or 0.0, errors))


def away(estimate: Estimate, *, up: bool) -> Away | None:
    """Return how far a figure may be off upwards, or downwards; None where the values do not give that end."""
    sides = (
        _side(estimate.value, estimate.low, estimate.near_low),
        _side(estimate.value, estimate.high, estimate.near_high),
    )
    this, other = sides[::-1] if up else sides
    if this is None:
        return None
    far, near = this
    return Away(far, near, None if other is None or other[1] is None else (other[0], other[1]))


def together(one: Away | None, other: Away | None, correlation: float) -> float | None:
    """Return how far the difference of two figures may be off, where each is off to its side."""
    if one is None or other is None:
        return None
    if one.near is None or other.near is None:
        return math.sqrt(max(one.far**2 + other.far**2 - 2 * correlation * one.far * other.far, 0.0))
    angles = np.linspace(0, 2 * math.pi, _STEPS, endpoint=False)
    a, b = np.cos(angles), np.sin(angles)
    radius = TOUCHING * math.sqrt(2) * np.sqrt((1 - correlation**2) / np.maximum(1 + 2 * correlation * a * b, 1e-9))
    return float((one.after(radius * a) + other.after(radius * b)).max())


def _side(value: float, end: float | None, near: float | None) -> tuple[float, float | None] | None:
    if end is None:
        return None
    return abs(value - end), None if near is None else abs(value - near)


def _power(far: float, near: float, errors: Floats) -> Floats:
    ratio = far / near if near > 0 else 0.0
    if ratio <= 0:
        return far * errors / (TOUCHING * math.sqrt(2))
    power = min(max(2 * math.log2(ratio), _POWERS[0]), _POWERS[1])
    found: Floats = near * (np.maximum(errors, 0) / TOUCHING) ** power
    return found
