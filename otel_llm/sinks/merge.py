"""Many values into one aggregation of the OpenTelemetry SDK, at once.

Both functions leave an aggregation as `aggregate` would, called once per value: same counts, zero count, minimum and
maximum, and the same sum up to float rounding. They reach into the SDK's private state, which is why nothing calls
them that has not first compared them with the public way (see `bulk`).

What makes the exponential merge exact is that only the bucket *edges* are delicate. Between two edges any accurate
logarithm gives the same index, so it is computed for all values at once; a value within `_EDGE` of an edge (every
power of two, every subnormal) is handed to the SDK's own mapping. The scale of a histogram is decided by its lowest
and highest index alone, so all values together lower it exactly as far as one after the other.

One result is better than that of the loop: a cycle of nothing but zeros has the scale that the aggregation is at, where
the SDK says 0, to which a cumulative reader then coarsens all that was recorded before and after; and so does a
Collector that adds up delta points.
"""

import operator
from collections.abc import Callable
from functools import lru_cache
from sys import float_info
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from opentelemetry.sdk.metrics._internal.aggregation import (
    _ExplicitBucketHistogramAggregation,
    _ExponentialBucketHistogramAggregation,
)
from opentelemetry.sdk.metrics._internal.exponential_histogram.buckets import Buckets

__all__ = ["MERGES", "Batch", "begin_anew"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_EDGE: Final = 2.0**-38
"""In binary logarithms: more than rounding does to one (at most 1075, so some 2**-42), less than anyone can measure."""


_NONE: Final = [0]
"""The counts of buckets in which nothing was counted."""

_HUGE: Final = 1e290
"""Values above it are summed without numpy, which warns where their sum is infinite."""


class Batch:
    """Values to be recorded together, float64[n], finite and not negative, with what every aggregation asks of them."""

    __slots__ = ("_log2", "count", "max", "min", "positive", "sum", "values", "zeros")

    def __init__(self, values: Floats) -> None:
        self.values, self.count = values, len(values)
        self.min, self.max = float(np.minimum.reduce(values)), float(np.maximum.reduce(values))
        self.sum = float(np.add.reduce(values)) if self.max < _HUGE else sum(values.tolist())
        self.positive = values if self.min > 0 else values[values > 0]
        self.zeros = self.count - len(self.positive)
        self._log2: Floats | None = None

    @property
    def recordable(self) -> bool:
        """Whether the SDK would take every value: none negative, infinite or not a number."""
        return self.min >= 0 and self.max <= float_info.max

    def indices(self, mapping: Any) -> Ints:
        """Return the bucket of each positive value at the scale of an SDK `mapping`, int64."""
        if self._log2 is None:
            self._log2 = np.log2(self.positive)
        scale = 2.0**mapping.scale
        tolerance = _EDGE * scale
        position = self._log2 * scale
        index = np.floor(position + tolerance)
        position -= index
        found: Ints = index.astype(np.int64)
        if np.minimum.reduce(position) < tolerance or self.min <= float_info.min:
            near = np.flatnonzero((position < tolerance) | (self.positive <= float_info.min))
            values, which = np.unique(self.positive[near], return_inverse=True)  # lengths of answers are often alike
            found[near] = np.array([mapping.map_to_index(value) for value in values.tolist()])[which]
        return found


@lru_cache(256)
def _array(boundaries: tuple[float, ...]) -> Floats:
    return np.array(boundaries, np.float64)


def merge_explicit(aggregation: Any, batch: Batch) -> None:
    """Add the batch to a histogram of explicit buckets, (lower, upper] as in the SDK."""
    boundaries = _array(aggregation._boundaries)
    counts = np.bincount(np.searchsorted(boundaries, batch.values), minlength=len(boundaries) + 1).tolist()
    with aggregation._lock:
        before = aggregation._value
        aggregation._value = counts if before is None else list(map(operator.add, before, counts))
        _tally(aggregation, batch)


def merge_exponential(aggregation: Any, batch: Batch) -> None:
    """Add the batch to a base-2 exponential histogram, lowering its scale as far as the SDK would and no further."""
    with aggregation._lock:
        if aggregation._value_positive is None:
            aggregation._value_positive = Buckets()  # type: ignore[no-untyped-call]
        if aggregation._value_negative is None:
            aggregation._value_negative = Buckets()  # type: ignore[no-untyped-call]
        if len(batch.positive):
            begin_anew(aggregation)
            _fill(aggregation, batch)
        aggregation._count += batch.count
        aggregation._zero_count += batch.zeros
        aggregation._scale = aggregation._mapping.scale
        _tally(aggregation, batch)


def begin_anew(aggregation: Any) -> None:
    """Forget the buckets of earlier cycles, where those had nothing but zeros and there are none.

    The SDK keeps an empty bucket at index 0 for them, that is at 1, and cannot join it with one that is far from there.
    """
    before = aggregation._previous_value_positive
    if before is not None and before.counts == _NONE and aggregation._previous_value_negative.counts == _NONE:
        aggregation._previous_value_positive = aggregation._previous_value_negative = None
        aggregation._previous_scale = None


def _tally(aggregation: Any, batch: Batch) -> None:
    aggregation._sum += batch.sum
    if getattr(aggregation, "_record_min_max", True):  # exponential ones before 1.45 always do
        aggregation._min = min(aggregation._min, batch.min)
        aggregation._max = max(aggregation._max, batch.max)


def _fill(aggregation: Any, batch: Batch) -> None:
    buckets, room = aggregation._value_positive, aggregation._max_size
    empty = not len(buckets)
    while True:
        index = batch.indices(aggregation._mapping)
        low, high = int(np.minimum.reduce(index)), int(np.maximum.reduce(index))
        start, end = (low, high) if empty else (min(low, buckets.index_start), max(high, buckets.index_end))
        change = aggregation._get_scale_change(start, end)
        if not change:
            break
        aggregation._downscale(change, buckets, aggregation._value_negative)
        aggregation._mapping = aggregation._new_mapping(aggregation._mapping.scale - change)
    if empty:
        buckets.index_start = buckets.index_end = buckets.index_base = low
    if start < buckets.index_start:
        if buckets.index_end - start >= len(buckets.counts):
            buckets.grow(buckets.index_end - start + 1, room)
        buckets.index_start = start
    if end > buckets.index_end:
        if end - buckets.index_start >= len(buckets.counts):
            buckets.grow(end - buckets.index_start + 1, room)
        buckets.index_end = end
    _add_around(buckets.counts, (low - buckets.index_base) % len(buckets.counts), np.bincount(index - low).tolist())


def _add_around(counts: list[int], at: int, more: list[int]) -> None:
    """Add `more` to `counts`, from position `at` on and then from the start: the SDK keeps its buckets in a ring."""
    ahead = len(counts) - at
    counts[at : at + len(more)] = map(operator.add, counts[at : at + len(more)], more)
    if len(more) > ahead:
        counts[: len(more) - ahead] = map(operator.add, counts[: len(more) - ahead], more[ahead:])


MERGES: Final[dict[Any, Callable[[Any, Batch], None]]] = {
    _ExplicitBucketHistogramAggregation: merge_explicit,
    _ExponentialBucketHistogramAggregation: merge_exponential,
}
