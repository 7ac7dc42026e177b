"""The 95 % interval of a throughput, by the spread between parts of a run (batch means).

What ended in each of twenty equal parts of the run is counted. The parts vary about the mean as the mean varies about
the truth, but for how much each is like the one before it. Start and end are parts, too: a short run is less sure.
"""

import math
from typing import Final

import numpy as np

from otel_llm.load.figures.dependence import inflation
from otel_llm.load.figures.intervals import Interval
from otel_llm.measures import Floats

__all__ = ["rate_interval"]

_PARTS: Final = 20
_T: Final = 2.093
"""Student's quantile, 97.5 %, 19 degrees of freedom."""
_FEWEST: Final = 40


def rate_interval(at_s: Floats, amounts: Floats, start_s: float, end_s: float) -> Interval:
    """Return the interval of the sum of `amounts` per second, from the moments at which they were added.

    Both ends are None for fewer than 40 moments, and for a run that took no time.
    """
    if len(at_s) < _FEWEST or end_s <= start_s:
        return None, None
    part = np.clip((at_s - start_s) / (end_s - start_s) * _PARTS, 0, _PARTS - 1).astype(np.int64)
    sums = np.bincount(part, amounts, _PARTS)
    error = _T * float(sums.std(ddof=1)) * math.sqrt(inflation(sums) / _PARTS)
    scale = _PARTS / (end_s - start_s)
    middle = float(sums.mean())
    return max(middle - error, 0.0) * scale, (middle + error) * scale
