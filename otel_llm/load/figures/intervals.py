"""The 95 % confidence interval of a percentile, and whether there are enough values for one.

No interval is given from fewer than 40 requests, and no upper end where fewer than ten values lie beyond it: so few do
not show whether each is like those before it.

Independent values (one per request): order statistics. Of n values the number below the true q-quantile is binomial
(n, q), so two ranks enclose it with a probability that needs no assumption about the distribution (H. A. David and
H. N. Nagaraja, Order Statistics, 3rd ed., 7.1; NIST/SEMATECH e-Handbook, 2.6.2.6).

Values that depend on those before them, as the latencies of requests in one queue: the same share, with as many values
as independent ones would say as much (`dependence`). Where those are too few to tell how much the values depend on each
other, there is no interval. `benchmarks/coverage.py` shows how often intervals hold the truth where it is known.

Gaps between tokens (many per request) are not independent: the gaps of one answer arose under the same load. For them
the share of values at or below the percentile has the standard error of a ratio over requests, and the two ends of the
share are looked up in the ordered values (R. S. Woodruff, 1952, J. Am. Stat. Assoc. 47). There are too few values when
the share is closer to 1 than its error.

A throughput: what ended in each of twenty equal parts of the run is counted, and the parts vary about their mean as the
mean varies about the truth (batch means). Start and end are parts, too: a short run is less sure.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from otel_llm.load.figures.batch_means import PARTS, mean_of_parts
from otel_llm.load.figures.dependence import inflation
from otel_llm.load.figures.enough import FEW_BEYOND, FEWEST, values_needed
from otel_llm.measures import Floats

__all__ = [
    "CONFIDENCE",
    "Interval",
    "clustered_interval",
    "dependent_interval",
    "enclosing_ranks",
    "independent_interval",
    "rate_interval",
]

CONFIDENCE: Final = 0.95
_Z: Final = 1.959963984540054
_DOUBT: Final = 1.5
"""How doubtful their number is: it counts as known from this share of them (chosen by `benchmarks/coverage.py`)."""

Interval = tuple[float | None, float | None]
"""Both ends; None for an end that the values do not give."""


def independent_interval(ordered: Floats, count: int, q: float) -> Interval:
    """Return the interval of the q-th percentile of `count` values. `ordered` has the finite ones, ascending.

    It has no upper end for fewer than `values_needed(q)` values.
    """
    low, high = enclosing_ranks(count, q)
    return _at(ordered, low), _at(ordered, high) if count >= values_needed(q) else None


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


def dependent_interval(ordered: Floats, count: int, q: float, tau: float) -> Interval:
    """Return the interval of the q-th percentile of `count` values that are worth `count / tau` independent ones.

    Both ends are None where these are too few. `ordered` has the finite values, ascending.
    """
    share = q / 100
    if (worth := _worth(count, tau)) is None:
        return None, None
    middle, reach = share * worth + _Z**2 / 2, math.sqrt(share * (1 - share) * worth + _Z**2 / 4)
    low, high = ((middle + side * _Z * reach) / (worth + _Z**2) for side in (-1, 1))  # Wilson's limits
    above, below = worth * (1 - share), worth * share
    has_low, has_high = min(below, 2 * above) >= FEW_BEYOND, min(above, 2 * below) >= FEW_BEYOND
    return (
        _at(ordered, max(math.floor(low * count) - 1, 0)) if has_low else None,
        _at(ordered, min(math.ceil(high * count), count) - 1) if has_high else None,
    )


def _worth(count: float, tau: float) -> float | None:
    """Return how many independent values to reckon with, fewer for the doubt about tau; None where none can say."""
    independent = count / tau
    if independent < FEWEST:
        return None
    wider = 1 + (_Z**2 + 1) * _DOUBT / (4 * independent)  # Student's quantile to the normal one, at so many degrees
    return independent / wider**2


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
    if clusters < FEWEST:
        return None, None
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    # 32 bits each: there is one for every value, and there may be millions
    within = np.add.reduceat(values <= at, starts, dtype=np.uint32).astype(np.int64)
    share = within.sum() / sizes.sum()
    spread = float(((within - share * sizes) ** 2).sum()) * clusters / (clusters - 1)
    if (tau := inflation(within - share * sizes)) > 1:  # the pace of an answer is like that of the one before
        if (worth := _worth(clusters, tau)) is None:
            return None, None
        spread *= clusters / worth
    error = max(math.sqrt(spread) / sizes.sum(), math.sqrt(q / 100 * (1 - q / 100) / sizes.sum()))
    low, high = q / 100 - _Z * error, q / 100 + _Z * error
    last = len(ordered) - 1
    lower = float(ordered[int(low * last)]) if low > 0 else None
    upper = float(ordered[math.ceil(high * last)]) if high < 1 else None
    return lower, upper


def rate_interval(at_s: Floats, amounts: Floats, start_s: float, end_s: float) -> Interval:
    """Return the interval of the sum of `amounts` per second, from the moments at which they were added.

    Both ends are None for fewer than 40 moments, and for a run that took no time.
    """
    if len(at_s) < FEWEST or end_s <= start_s:
        return None, None
    part = np.clip((at_s - start_s) / (end_s - start_s) * PARTS, 0, PARTS - 1).astype(np.int64)
    sums = np.bincount(part, amounts, PARTS)
    middle, reach = mean_of_parts(sums)
    error = reach * math.sqrt(inflation(sums))
    scale = PARTS / (end_s - start_s)
    return max(middle - error, 0.0) * scale, (middle + error) * scale


def _at(ordered: Floats, rank: int | None) -> float | None:
    return float(ordered[rank]) if rank is not None and rank < len(ordered) else None
