"""How many values it takes to be sure of a percentile."""

import math
from typing import Final

__all__ = ["FEWEST", "FEW_BEYOND", "values_needed"]

FEWEST: Final = 40
"""Fewer values than these many independent ones do not say how much they depend on each other."""
FEW_BEYOND: Final = 10
"""Of them, as many must lie beyond a percentile for the end on that side, and half of them on the other."""


def values_needed(q: float) -> int:
    """Return how many independent values are needed for the interval of the q-th percentile to have an upper end.

    >>> values_needed(50), values_needed(99)
    (40, 1000)
    """
    return max(FEWEST, math.ceil(FEW_BEYOND / round(1 - q / 100, 9)))
