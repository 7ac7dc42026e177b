"""A histogram as it arrived by OTLP, merged over streams, and its quantiles."""

import math
from bisect import bisect_left
from collections import Counter
from copy import copy, deepcopy
from itertools import accumulate
from typing import Any, Self

from opentelemetry.proto.metrics.v1.metrics_pb2 import ExponentialHistogramDataPoint, HistogramDataPoint

__all__ = ["ExplicitHistogram", "ExponentialHistogram", "read_histogram"]


class _Histogram:
    """count, sum, and min and max (None when no point said), of values >= 0."""

    def __init__(self, point: Any) -> None:
        self.count = int(point.count)
        self.sum = float(point.sum)
        self.min = float(point.min) if point.HasField("min") else None
        self.max = float(point.max) if point.HasField("max") else None

    def copy(self) -> Self:
        """Return the same histogram; to add to one leaves the other."""
        return deepcopy(self)

    def _add(self, other: "_Histogram") -> None:
        self.count += other.count
        self.sum += other.sum
        self.min = _either(min, self.min, other.min)
        self.max = _either(max, self.max, other.max)

    def _less(self, earlier: "_Histogram") -> Self:
        """Return it without the values of an earlier state; its min and max are bounds of the values that are left."""
        found = copy(self)
        found.count, found.sum = self.count - earlier.count, self.sum - earlier.sum
        return found

    def _fields(self) -> dict[str, Any]:
        return {"count": self.count, "sum": self.sum, "min": self.min, "max": self.max}

    @property
    def mean(self) -> float | None:
        """Sum by count; None when nothing was recorded."""
        return self.sum / self.count if self.count else None


def _either(choose: Any, one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None]
    return choose(known) if known else None


class ExplicitHistogram(_Histogram):
    """bounds: inclusive upper bounds, ascending; counts: one more than bounds, the last for what is above all."""

    def __init__(self, point: HistogramDataPoint) -> None:
        super().__init__(point)
        self.bounds: tuple[float, ...] = tuple(point.explicit_bounds)
        self.counts: list[int] = list(point.bucket_counts)

    def add(self, other: "ExplicitHistogram") -> Self:
        """Merge another one in. Raises ValueError when its buckets are others."""
        if other.bounds != self.bounds:
            raise ValueError(f"expected the bounds {self.bounds}, got {other.bounds}; next step: ask for one stream")
        self._add(other)
        self.counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        return self

    def since(self, earlier: "ExplicitHistogram") -> "ExplicitHistogram":
        """Return what came after an earlier state of the same stream: all of it where the stream has begun anew."""
        counts = [now - then for now, then in zip(self.counts, earlier.counts, strict=False)]
        if self.bounds != earlier.bounds or min(counts, default=0) < 0:
            return self
        found = self._less(earlier)
        found.counts = counts
        return found

    def to_point(self) -> HistogramDataPoint:
        """Return it as OTLP has it."""
        return HistogramDataPoint(**self._fields(), explicit_bounds=self.bounds, bucket_counts=self.counts)

    def quantile(self, q: float) -> float | None:
        """Return the q-quantile (0..1), linear within its bucket; None of no values.

        Source: Prometheus, `histogram_quantile`: the first bucket starts at 0, and what falls in the last one, which
        has no end, is its start.
        """
        if not self.count:
            return None
        if not self.bounds:
            return math.nan
        below = list(accumulate(self.counts))
        i = bisect_left(below, max(q * self.count, math.ulp(0.0)))
        if i >= len(self.bounds):
            return self.bounds[-1]
        low = self.bounds[i - 1] if i else min(0.0, self.bounds[0])
        before = below[i - 1] if i else 0
        return low + (self.bounds[i] - low) * (q * self.count - before) / self.counts[i]


class ExponentialHistogram(_Histogram):
    """buckets: {i: count of values in (base**i, base**(i + 1)]}, base 2**(2**-scale); zero_count: values of 0."""

    def __init__(self, point: ExponentialHistogramDataPoint) -> None:
        super().__init__(point)
        self.scale, self.zero_count = int(point.scale), int(point.zero_count)
        first = point.positive.offset
        self.buckets = Counter({first + i: n for i, n in enumerate(point.positive.bucket_counts) if n})

    def add(self, other: "ExponentialHistogram") -> Self:
        """Merge another one in, at the coarser scale of the two. Exact: each fine bucket lies in one coarse one."""
        self._add(other)
        self.zero_count += other.zero_count
        scale = min(self.scale, other.scale)
        if not self.buckets or not other.buckets:  # without buckets a scale says nothing
            scale = self.scale if self.buckets else other.scale
        if scale != self.scale:
            self.buckets, self.scale = self._at(scale), scale
        self.buckets.update(other._at(scale))
        return self

    def since(self, earlier: "ExponentialHistogram") -> "ExponentialHistogram":
        """Return what came after an earlier state of the same stream: all of it where the stream has begun anew."""
        if not earlier.buckets:
            left = self.buckets
        elif self.scale > earlier.scale:  # a stream only becomes coarser
            return self
        else:
            left = Counter(self.buckets)
            left.subtract(earlier._at(self.scale))
        zeros = self.zero_count - earlier.zero_count
        if zeros < 0 or any(n < 0 for n in left.values()):
            return self
        found = self._less(earlier)
        found.buckets, found.zero_count = Counter({i: n for i, n in left.items() if n}), zeros
        return found

    def to_point(self) -> ExponentialHistogramDataPoint:
        """Return it as OTLP has it."""
        first, last = min(self.buckets, default=0), max(self.buckets, default=-1)
        counts = [self.buckets.get(i, 0) for i in range(first, last + 1)]
        positive = ExponentialHistogramDataPoint.Buckets(offset=first, bucket_counts=counts)
        return ExponentialHistogramDataPoint(
            **self._fields(), scale=self.scale, zero_count=self.zero_count, positive=positive
        )

    @property
    def width(self) -> float:
        """How much wider than its lower end a bucket is: a quantile is off by less than this share."""
        return float(2.0**2.0**-self.scale - 1)

    def _at(self, scale: int) -> "Counter[int]":
        """Return the buckets at this scale or a coarser one."""
        if scale == self.scale:
            return self.buckets
        merged: Counter[int] = Counter()
        for i, n in self.buckets.items():
            merged[i >> (self.scale - scale)] += n
        return merged

    def quantile(self, q: float) -> float | None:
        """Return the q-quantile (0..1), log-linear within its bucket and within min and max; None of no values."""
        if not self.count:
            return None
        rank = q * self.count
        value, before = 0.0, float(self.zero_count)
        if rank > before:
            for i, n in sorted(self.buckets.items()):
                value = 2.0 ** ((i + min((rank - before) / n, 1.0)) * 2.0**-self.scale)
                before += n
                if before >= rank:
                    break
        low = -math.inf if self.min is None else self.min
        high = math.inf if self.max is None else self.max
        return min(max(value, low), high)


def read_histogram(point: Any) -> ExplicitHistogram | ExponentialHistogram:
    """Return the histogram of an OTLP data point of either kind."""
    return ExponentialHistogram(point) if hasattr(point, "scale") else ExplicitHistogram(point)
