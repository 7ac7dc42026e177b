import math

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import ExponentialHistogramDataPoint, HistogramDataPoint

from otel_llm.receiver.histogram import read_histogram


def explicit(bounds, counts, **more):
    return read_histogram(HistogramDataPoint(explicit_bounds=bounds, bucket_counts=counts, count=sum(counts), **more))


def exponential(scale, offset, counts, zeros=0, **more):
    point = ExponentialHistogramDataPoint(scale=scale, zero_count=zeros, count=sum(counts) + zeros, **more)
    point.positive.offset = offset
    point.positive.bucket_counts.extend(counts)
    return read_histogram(point)


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        (0.0, 0.0),
        (0.25, 0.5),  # 1 of the 2 in (0, 1]
        (0.5, 1.0),
        (0.75, 2.0),  # half way through (1, 3]
        (1.0, 3.0),
    ],
)
def test_explicit_quantiles_are_linear_as_in_prometheus(q, expected):
    assert explicit([1.0, 3.0], [2, 2, 0]).quantile(q) == pytest.approx(expected)


def test_what_lies_beyond_the_last_bound_is_that_bound_as_in_prometheus():
    assert explicit([1.0, 3.0], [0, 1, 9]).quantile(0.9) == 3.0
    assert math.isnan(explicit([], [3]).quantile(0.5))


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        (0.25, 0.0),  # the zeros
        (0.5, 0.0),
        (0.75, 2**0.5),  # half way, by logarithm, through (1, 2]
        (1.0, 2.0),
    ],
)
def test_exponential_quantiles_are_log_linear(q, expected):
    assert exponential(0, 0, [2], zeros=2).quantile(q) == pytest.approx(expected)


def test_exponential_quantiles_stay_within_min_and_max():
    found = exponential(0, 0, [2], min=1.5, max=1.6)
    assert (found.quantile(0.01), found.quantile(0.99)) == (1.5, 1.6)


def test_merging_exponential_histograms_takes_the_coarser_scale():
    fine, coarse = exponential(2, -1, [1, 2, 3, 4, 5], min=0.5), exponential(0, 0, [7], zeros=1, max=2.0)
    merged = fine.add(coarse)
    # at scale 2 the index i becomes i >> 2: -1 -> -1; 0, 1, 2, 3 -> 0
    assert (merged.scale, dict(merged.buckets), merged.zero_count, merged.count) == (0, {-1: 1, 0: 21}, 1, 23)
    assert (merged.min, merged.max) == (0.5, 2.0)


def test_a_histogram_of_zeros_coarsens_nothing():
    assert exponential(5, 3, [1]).add(exponential(0, 0, [], zeros=4)).scale == 5


def test_explicit_histograms_of_other_bounds_are_not_merged():
    assert explicit([1.0], [1, 1]).add(explicit([1.0], [2, 0])).counts == [3, 1]
    with pytest.raises(ValueError, match="expected the bounds"):
        explicit([1.0], [1, 1]).add(explicit([2.0], [1, 1]))


def test_of_nothing_there_is_no_quantile():
    assert explicit([1.0], [0, 0]).quantile(0.5) is None
    assert exponential(0, 0, []).quantile(0.5) is None
    assert exponential(0, 0, []).mean is None


def test_what_came_since_an_earlier_state_and_that_state_are_the_whole():
    first, later = exponential(3, -4, [1, 2, 3], zeros=1, max=1.1), exponential(1, -2, [4, 9, 6], zeros=2, max=1.7)
    left = later.since(first)
    assert (left.count, left.zero_count, left.scale) == (later.count - first.count, 1, 1)
    whole = first.copy().add(left)
    assert (whole.count, whole.buckets, whole.max) == (later.count, later.buckets, later.max)
    assert read_histogram(later.to_point()).buckets == later.buckets
    bounds = [1.0, 2.0]
    left = explicit(bounds, [3, 4, 5]).since(explicit(bounds, [1, 1, 1]))
    assert (left.count, left.counts) == (9, [2, 3, 4])
    assert read_histogram(left.to_point()).counts == left.counts


def test_a_stream_that_counts_less_than_before_has_begun_anew():
    for earlier, later in (
        (exponential(2, 0, [3, 3]), exponential(2, 0, [1, 2])),
        (exponential(2, 0, [3], zeros=2), exponential(2, 0, [3], zeros=1)),
        (exponential(1, 0, [3]), exponential(2, 0, [30])),
        (explicit([1.0], [3, 3]), explicit([1.0], [2, 9])),
        (explicit([1.0], [3, 3]), explicit([2.0], [4, 4])),
    ):
        assert later.since(earlier) is later
