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

A second, narrower interval holds the truth in 83 % of runs: 1.96 / √2 standard errors to either side. Where it is that
of two runs of one size, its ends touch as often as a difference of theirs is as large as chance makes it in one of
twenty pairs (H. Goldstein and M. J. R. Healy, J. R. Stat. Soc. A 158, 1995). A comparison is put together of both. Its
ends lie between ordered values, in proportion: whole ranks would err on the safe side, twice in each comparison.

A throughput: what ended in each of twenty equal parts of the run is counted, and the parts vary about their mean as the
mean varies about the truth (batch means). Start and end are parts, too: a short run is less sure.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otel_llm.load.figures.batch_means import PARTS, mean_of_parts
from otel_llm.load.figures.dependence import SLIGHT, inflation
from otel_llm.load.figures.enough import FEW_BEYOND, FEWEST, TOUCHING, values_needed
from otel_llm.measures import Floats

__all__ = [
    "CONFIDENCE",
    "NEITHER",
    "Both",
    "Interval",
    "clustered_intervals",
    "dependent_interval",
    "enclosing_ranks",
    "independent_interval",
    "intervals",
    "rate_interval",
]

CONFIDENCE: Final = 0.95
_Z: Final = 1.959963984540054
_DOUBT: Final = 1.5
"""How doubtful their number is: it counts as known from this share of them (chosen by `benchmarks/coverage.py`)."""

Interval = tuple[float | None, float | None]
"""Both ends; None for an end that the values do not give."""


class Both(NamedTuple):
    """The 95 % interval of a percentile, and the 83 % one; ends that the values do not give are None in both."""

    ci95: Interval
    ci83: Interval


NEITHER: Final = Both((None, None), (None, None))


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
    low, high = _limits(share, worth, _Z)
    above, below = worth * (1 - share), worth * share
    has_low, has_high = min(below, 2 * above) >= FEW_BEYOND, min(above, 2 * below) >= FEW_BEYOND
    return (
        _at(ordered, max(math.floor(low * count) - 1, 0)) if has_low else None,
        _at(ordered, min(math.ceil(high * count), count) - 1) if has_high else None,
    )


def intervals(ordered: Floats, count: int, q: float, tau: float) -> Both:
    """Return the intervals of the q-th percentile of `count` values, one per request; arguments as above.

    tau: 1 for values that do not depend on each other
    """
    wide = dependent_interval(ordered, count, q, tau) if tau > 1 else independent_interval(ordered, count, q)
    worth = _worth(count, tau) if tau > 1 else count
    if worth is None:
        return NEITHER
    near = (_between(ordered, share * (count + 1) - 1) for share in _limits(q / 100, worth, TOUCHING))
    return Both(wide, _where(wide[0] is not None, wide[1] is not None, *near))


def _where(has_low: bool, has_high: bool, low: float | None, high: float | None) -> Interval:
    return low if has_low else None, high if has_high else None


def _limits(share: float, worth: float, reach: float) -> tuple[float, float]:
    """Return the limits of a share of so many independent values, so many standard errors off (E. B. Wilson, 1927)."""
    middle, off = share * worth + reach**2 / 2, reach * math.sqrt(share * (1 - share) * worth + reach**2 / 4)
    return (middle - off) / (worth + reach**2), (middle + off) / (worth + reach**2)


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


def clustered_intervals(
    ordered: Floats, values: Floats, sizes: Sequence[int] | NDArray[Any], q: float, at: float
) -> Both:
    """Return the intervals of the q-th percentile, whose value is `at`, of values that come in clusters.

    sizes: how many of `values`, in their order, belong to each cluster; `ordered` are the same values, ascending
    """
    if (error := _error_of_clusters(values, sizes, q, at)) is None:
        return NEITHER
    share, last = q / 100, len(ordered) - 1
    low, high = share - _Z * error, share + _Z * error
    has_low, has_high = low > 0, high < 1
    near = (_between(ordered, (share + side * TOUCHING * error) * last) for side in (-1, 1))
    return Both(
        (
            float(ordered[int(low * last)]) if has_low else None,
            float(ordered[math.ceil(high * last)]) if has_high else None,
        ),
        _where(has_low, has_high, *near),
    )


def _error_of_clusters(values: Floats, sizes: Sequence[int] | NDArray[Any], q: float, at: float) -> float | None:
    """Return the standard error of the share of values at or below `at`; None where the clusters are too few."""
    sizes = np.asarray(sizes)
    sizes = sizes[sizes > 0]
    clusters = len(sizes)
    if clusters < FEWEST:
        return None
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    # 32 bits each: there is one for every value, and there may be millions
    within = np.add.reduceat(values <= at, starts, dtype=np.uint32).astype(np.int64)
    share = within.sum() / sizes.sum()
    spread = float(((within - share * sizes) ** 2).sum()) * clusters / (clusters - 1)
    if (tau := inflation(within - share * sizes, SLIGHT)) > 1:  # the pace of an answer is like that of the one before
        if (worth := _worth(clusters, tau)) is None:
            return None
        spread *= clusters / worth
    total = int(sizes.sum())
    return max(math.sqrt(spread) / total, math.sqrt(q / 100 * (1 - q / 100) / total))


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


def _between(ordered: Floats, rank: float) -> float | None:
    """Return the value at a rank that need not be whole; None where there is none."""
    if not 0 <= rank <= len(ordered) - 1:
        return None
    below = int(rank)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (rank - below) * (ordered[above] - ordered[below]))
