"""Percentiles of times of which some were cut off, so that nobody knows how long they would have become.

What is cut off at the end of a run are the long ones, and percentiles of the others flatter. The product-limit estimate
takes each for what is known of it, that it took longer than until then: at each time that was seen to its end, the
share still going falls by one in those that were going then (E. L. Kaplan and P. Meier, 1958, J. Am. Stat. Assoc. 53).
It is right where being cut off has nothing to do with how long one would have taken, as at a moment set beforehand.
"""

from collections.abc import Sequence
from itertools import repeat

import numpy as np

from otel_llm.measures import Floats

__all__ = ["product_limit"]


def product_limit(seen: Floats, cut: Floats, percentiles: Sequence[float]) -> list[float | None]:
    """Return percentiles of times, None where so many were cut off that a percentile is beyond all that were seen.

    seen: the times that were seen to their end; cut: how long the others had taken when they were cut off

    >>> product_limit(np.array([1.0, 2.0, 3.0]), np.array([1.5]), (50, 99))
    [2.0, 3.0]
    >>> product_limit(np.array([1.0, 2.0]), np.array([5.0, 5.0]), (50, 99))
    [2.0, None]
    """
    if not len(seen):
        return list(repeat(None, len(percentiles)))
    times, ends = np.unique(seen, return_counts=True)
    everything = np.sort(np.concatenate((seen, cut)))
    going = len(everything) - np.searchsorted(everything, times, side="left")
    over = 1 - np.cumprod(1 - ends / going)
    # what is over in fact is so within rounding
    which = np.searchsorted(over + 1e-12, np.array(percentiles) / 100, side="left")
    return [float(times[i]) if i < len(times) else None for i in which.tolist()]
