"""How many independent values a series of values is worth, when each is like those before it.

Under load, a request that waits in a queue is followed by one that waits, too. Then n values say less than n
independent ones would: as much as n / tau, where tau is 1 plus twice the sum of the correlations between values 1, 2, 3
... apart. The sum is cut by Geyer's rule for such series: the sums of neighbouring pairs of correlations are positive
and fall, so where they no longer do, only noise is left (C. J. Geyer, 1992, Statistical Science 7, 3.3).
"""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from otel_llm.measures import Floats

__all__ = ["SLIGHT", "inflation", "ranks_of"]

_NOISE: Final = 1.0
"""Correlations below so many standard errors are taken for none: they would only make intervals of independent values
longer, and differ from run to run."""
_MOST_NOISE: Final = 2.0
SLIGHT: Final = 0.1
"""So slight a correlation of requests in a row makes an interval a tenth too short; to take noise for one makes those
of independent values too long, in two of five runs."""
_SHORT: Final = 1.25
"""By how much a sum that is cut off is too small, and one of correlations about the series' own mean."""
_MOST: Final = 1 << 14


def ranks_of(values: Floats) -> Floats:
    """Return the rank of each value, from 0, of equal ones the mean: few large values do not rule what ranks show.

    >>> ranks_of(np.array([5.0, 2.0, 5.0]))
    array([1.5, 0. , 1.5])
    """
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    means: Floats = np.cumsum(counts) - (counts + 1) / 2
    return means[which]


def inflation(series: NDArray[Any], slight: float = 0.0) -> float:
    """Return tau of a series in the order in which it arose: 1 for values that do not depend on each other.

    slight: correlations up to this are taken for none as long as they are below two standard errors, not one

    >>> inflation(np.array([1.0, 1.0, 1.0]))
    1.0
    """
    count = len(series)
    away = np.asarray(series, np.float64) - np.mean(series) if count else np.empty(0)
    spread = float(away @ away) / max(count, 1)
    if count < 4 or spread <= 0:
        return 1.0
    block = -(-count // _MOST)
    if block > 1:  # means of blocks, whose own dependence is left: a long run would take long
        away = away[: count // block * block].reshape(-1, block).mean(axis=1)
        away -= away.mean()
    found = _sum_of_correlations(away, slight)
    within = block * float(away @ away) / len(away) / spread
    if found == 1 and within < 1 + 4 / math.sqrt(len(away)):
        return 1.0
    return max(found * within, 1.0)


def _sum_of_correlations(away: Floats, slight: float) -> float:
    """Return 1 plus twice the sum of the correlations of a series whose mean is 0."""
    count, total = len(away), float(away @ away)
    if total <= 0:
        return 1.0
    size = 1 << (2 * count - 1).bit_length()
    spectrum = np.fft.rfft(away, size)
    near = np.fft.irfft(spectrum * np.conj(spectrum), size)[: count - count % 2] / total
    noise = max(_NOISE / math.sqrt(count), min(_MOST_NOISE / math.sqrt(count), slight))
    if near[1] < noise and near[1:4].sum() < math.sqrt(3) * noise:
        return 1.0
    pairs = near[0::2] + near[1::2]
    ends = np.flatnonzero(pairs <= 0)
    kept = np.minimum.accumulate(pairs[: ends[0]] if len(ends) else pairs)
    return _SHORT * (2 * float(kept.sum()) - 1)
