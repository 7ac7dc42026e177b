"""The 95 % confidence interval of a percentile, and whether there are enough values for one.

Independent values (one per request): order statistics. Of n values the number below the true q-quantile is binomial
(n, q), so two ranks enclose it with a probability that needs no assumption about the distribution (H. A. David and
H. N. Nagaraja, Order Statistics, 3rd ed., 7.1; NIST/SEMATECH e-Handbook, 2.6.2.6). Where the upper rank would be beyond
the largest value, the interval has no upper end: there are too few values for that percentile.

Gaps between tokens (many per request) are not independent: the gaps of one answer arose under the same load. For them
the share of values at or below the percentile has the standard error of a ratio over requests, and the two ends of the
share are looked up in the ordered values (R. S. Woodruff, 1952, J. Am. Stat. Assoc. 47). There are too few values when
the share is closer to 1 than its error, and below 30 requests, too few to estimate the spread between them.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from otel_llm.measures import Floats

__all__ = ["CONFIDENCE", "Interval", "clustered_interval", "enclosing_ranks", "independent_interval", "values_needed"]

CONFIDENCE: Final = 0.95
_Z: Final = 1.959963984540054
_FEW: Final = 30

Interval = tuple[float | None, float | None]
"""Both ends; None for an end that the values do not give."""


def independent_interval(ordered: Floats, count: int, q: float) -> Interval:
    """Return the interval of the q-th percentile of `count` values. `ordered` has the finite ones, ascending."""
    low, high = enclosing_ranks(count, q)
    return _at(ordered, low), _at(ordered, high)


@lru_cache(4096)
def enclosing_ranks(count: int, q: float) -> tuple[int | None, int | None]:
    """Return the 0-based ranks that enclose the q-th percentile, None for a rank that does not exist.

    >>> enclosing_ranks(100, 50)
    (39, 60)
    >>> enclosing_ranks(100, 99)
    (96, None)
    """
    if not count:
        return None, None
    below = _binomial_cdf(count, q / 100)
    tail = (1 - CONFIDENCE) / 2
    # P(value of 1-based rank r > quantile) = P(B < r) = cdf[r - 1]
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1 - tail, side="left")) + 1
    return (low - 1 if low >= 1 else None), (high - 1 if high <= count else None)


def values_needed(q: float) -> int:
    """Return how many independent values are needed for the interval of the q-th percentile to have an upper end.

    >>> values_needed(99)
    368
    """
    return math.ceil(math.log((1 - CONFIDENCE) / 2) / math.log(q / 100))


def _binomial_cdf(count: int, p: float) -> Floats:
    """Return P(B <= k) for k = 0..count - 1 of a binomial (count, p), from the ratios of neighbouring terms."""
    k = np.arange(count)
    steps = np.log((count - k) / (k + 1)) + math.log(p / (1 - p))
    logs = np.concatenate(([0.0], np.cumsum(steps)))
    terms = np.exp(logs - logs.max())
    cdf: Floats = (np.cumsum(terms) / terms.sum())[:-1]
    return cdf


def clustered_interval(
    ordered: Floats, values: Floats, sizes: Sequence[int] | NDArray[Any], q: float, at: float
) -> Interval:
    """Return the interval of the q-th percentile, whose value is `at`, of values that come in clusters.

    sizes: how many of `values`, in their order, belong to each cluster; `ordered` are the same values, ascending
    """
    sizes = np.asarray(sizes)
    sizes = sizes[sizes > 0]
    clusters = len(sizes)
    if clusters < _FEW:
        return None, None
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    # 32 bits each: there is one for every value, and there may be millions
    within = np.add.reduceat(values <= at, starts, dtype=np.uint32).astype(np.int64)
    share = within.sum() / sizes.sum()
    spread = float(((within - share * sizes) ** 2).sum()) * clusters / (clusters - 1)
    error = max(math.sqrt(spread) / sizes.sum(), math.sqrt(q / 100 * (1 - q / 100) / sizes.sum()))
    low, high = q / 100 - _Z * error, q / 100 + _Z * error
    last = len(ordered) - 1
    lower = float(ordered[int(low * last)]) if low > 0 else None
    upper = float(ordered[math.ceil(high * last)]) if high < 1 else None
    return lower, upper


def _at(ordered: Floats, rank: int | None) -> float | None:
    return float(ordered[rank]) if rank is not None and rank < len(ordered) else None
