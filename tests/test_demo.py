"""When the demo says that the figures read back are the figures measured."""

import math
from bisect import bisect_left
from collections import Counter

import numpy as np
import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import ExponentialHistogramDataPoint, HistogramDataPoint

from otel_llm.demo import is_same
from otel_llm.receiver.histogram import ExplicitHistogram, ExponentialHistogram, read_histogram

BOUNDS = (0.5, 1.0, 1.5, 2.0, 5.0)


def exponential(values: list[float], scale: int = 3) -> ExponentialHistogram | ExplicitHistogram:
    """Return what arrives when an SDK counted the values, in buckets 9 % wide."""
    buckets = Counter(math.ceil(math.log2(value) * 2**scale) - 1 for value in values)
    first = min(buckets)
    point = ExponentialHistogramDataPoint(
        count=len(values), sum=math.fsum(values), min=min(values), max=max(values), scale=scale
    )
    point.positive.offset = first
    point.positive.bucket_counts.extend(buckets[i] for i in range(first, max(buckets) + 1))
    return read_histogram(point)


def explicit(values: list[float]) -> ExponentialHistogram | ExplicitHistogram:
    buckets = Counter(bisect_left(BOUNDS, value) for value in values)
    counts = [buckets[i] for i in range(len(BOUNDS) + 1)]
    point = HistogramDataPoint(explicit_bounds=BOUNDS, bucket_counts=counts, count=len(values), sum=math.fsum(values))
    return read_histogram(point)


EVEN = [1 + n / 200 for n in range(200)]
STALLED = [1.0] * 144 + [1.1] * 15 + [90.0]
"""Of 160: the 90th percentile lies between two values, and one value is far beyond the others."""

APART = [1.0] * 144 + [3.0] * 16
FEW = [0.1, 0.2, 0.4, 0.8]


@pytest.mark.parametrize("made", [exponential, explicit])
@pytest.mark.parametrize("values", [EVEN, STALLED, APART, FEW], ids=["even", "stalled", "apart", "few"])
def test_the_same_values_are_the_same(made, values):
    assert is_same(np.array(values), made(values))


@pytest.mark.parametrize("made", [exponential, explicit])
@pytest.mark.parametrize("other", [EVEN[1:], [*EVEN[1:], 5.0], [2 * value for value in EVEN]])
def test_another_count_or_another_mean_is_told(made, other):
    assert not is_same(np.array(EVEN), made(other))


@pytest.mark.parametrize("made", [exponential, explicit])
def test_the_same_mean_with_other_percentiles_is_told(made):
    assert not is_same(np.array(APART), made([math.fsum(APART) / len(APART)] * len(APART)))


def test_of_no_values_nothing_agrees():
    assert not is_same(np.array([]), exponential(EVEN))
