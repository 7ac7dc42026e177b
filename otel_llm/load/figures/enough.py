"""How many values it takes to be sure of a percentile, and how sure an interval is."""

import math
from typing import Final

__all__ = ["FEWEST", "FEW_BEYOND", "TOUCHING", "doubt_of_few", "values_needed"]

FEWEST: Final = 40
"""Fewer values than these many independent ones do not say how much they depend on each other."""
FEW_BEYOND: Final = 10
"""Of them, as many must lie beyond a percentile for the end on that side, and half of them on the other."""

TOUCHING: Final = 1.959963984540054 / math.sqrt(2)
"""Standard errors to the ends of an 83 % interval: those of two equal figures touch in 95 % of pairs."""


def doubt_of_few(independent: float) -> float:
    """Return how many times less few independent values say than many of them would each, near 1 for many.

    It is the square of Student's quantile over the normal one, to the first order.
    """
    return (1 + 1.96**2 / 4 / independent) ** 2


def values_needed(q: float) -> int:
    """Return how many independent values are needed for the interval of the q-th percentile to have an upper end.

    >>> values_needed(50), values_needed(99)
    (40, 1000)
    """
    return max(FEWEST, math.ceil(FEW_BEYOND / round(1 - q / 100, 9)))
