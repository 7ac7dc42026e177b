"""Quantiles of Student's distribution: how far a mean of few values may be off, when their spread is known from them.

The distribution has a closed form for whole degrees of freedom (M. Abramowitz and I. A. Stegun, Handbook of
Mathematical Functions, 26.7.3 and 26.7.4).
"""

import math
from functools import lru_cache

__all__ = ["student_quantile"]

_HALVINGS = 60


@lru_cache(512)
def student_quantile(share: float, degrees: int) -> float:
    """Return the value below which a share of the distribution lies; share: 0.5 to 1, degrees: of freedom, from 1

    >>> [round(student_quantile(0.975, degrees), 3) for degrees in (1, 2, 19)]
    [12.706, 4.303, 2.093]
    """
    low, high = 0.0, math.pi / 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _share_within(middle, degrees) < 2 * share - 1 else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


def _share_within(angle: float, degrees: int) -> float:
    """Return the share between -t and t, where t is the tangent of the angle times the root of the degrees."""
    odd = degrees % 2
    term, total = math.cos(angle) if odd else 1.0, 0.0
    for at in range(1, degrees // 2 + 1):
        total += term
        term *= (2 * at - 1 + odd) / (2 * at + odd) * math.cos(angle) ** 2
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
