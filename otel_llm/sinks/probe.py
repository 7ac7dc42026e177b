"""Compares merging many values at once with the SDK's public `record`, once per process and kind of aggregation."""

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics import Histogram as SDKHistogram
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource

__all__ = ["agrees", "asks_before_it_reads"]

Merge = Callable[[Any, NDArray[np.float64], Any, Any], bool]
"""(metric stream, values, attributes, their key) -> whether the values were added."""

_log = logging.getLogger("otel_llm")

# Each line is one collection. In order: an ordinary stream; powers of two, which are edges; zeros and a subnormal; the
# same bucket again; a range so wide that the scale falls below zero.
_ROUNDS: Final = (
    (0.012, 0.013, 0.0125, 0.5, 0.011, 0.012, 0.014),
    (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 0.25, 3.0),
    (0.0, 0.0, 5e-324, 0.01, 0.02, 0.04, 0.08),
    (0.012,) * 9,
    (1e-300, 1e-9, 1.0, 1e9, 1e300, 0.3, 0.7),
)


@lru_cache
def agrees(kind: Any, merge: Merge) -> bool:
    """Return whether `merge` and public `record` leave the same points, for one kind of SDK aggregation."""
    try:
        same = _compare(kind, merge)
    except Exception:
        same = False
        _log.info("could not merge values into %s of this OpenTelemetry SDK", kind.__name__, exc_info=True)
    if not same:
        _log.warning(
            "cannot merge values into %s of this OpenTelemetry SDK: they are recorded one by one", kind.__name__
        )
    return same


@lru_cache
def asks_before_it_reads() -> bool:
    """Return whether a collection has what the callbacks of observable instruments record while it asks them."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], resource=Resource.get_empty(), shutdown_on_exit=False)
    try:
        meter = provider.get_meter("otel_llm.probe")
        recorded = meter.create_histogram("recorded")
        meter.create_observable_counter("asked", [lambda _: recorded.record(1.0) or ()])
        (metric,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics  # type: ignore[union-attr]
        return [point.count for point in metric.data.data_points] == [1]  # type: ignore[union-attr]
    except Exception:
        return False
    finally:
        provider.shutdown()


def _compare(kind: type, merge: Merge) -> bool:
    aggregation = next(
        maker
        for maker in (ExplicitBucketHistogramAggregation(), ExponentialBucketHistogramAggregation())
        if f"_{type(maker).__name__}" == kind.__name__
    )
    reader = InMemoryMetricReader()
    provider = MeterProvider(
        [reader],
        resource=Resource.get_empty(),
        exemplar_filter=AlwaysOffExemplarFilter(),
        shutdown_on_exit=False,
        views=[View(instrument_type=SDKHistogram, aggregation=aggregation)],
    )
    try:
        meter = provider.get_meter("otel_llm.probe")
        looped, merged = (
            meter.create_histogram(name, explicit_bucket_boundaries_advisory=[0.0, 0.0125, 0.25, 1.0])
            for name in ("looped", "merged")
        )
        match = _match(provider, merged)
        looped.record(0.1)
        key = next(iter(_match(provider, looped)._attributes_aggregation))  # of no attributes, as this SDK hashes them
        merge(match, np.array([0.1]), {}, key)
        return all(_round(values, looped, match, merge, key, reader) for values in _ROUNDS)
    finally:
        provider.shutdown()


def _match(provider: Any, histogram: Any) -> Any:
    (storage,) = provider._measurement_consumer._reader_storages.values()
    (match,) = storage._get_or_init_view_instrument_match(histogram)
    return match


def _round(values: tuple[float, ...], looped: Any, match: Any, merge: Merge, key: Any, reader: Any) -> bool:
    for value in values:
        looped.record(value)
    if not merge(match, np.array(values), {}, key):
        return False
    metrics = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    one, other = ((point,) for metric in metrics for point in metric.data.data_points)
    return _essence(*one) == _essence(*other)


def _essence(point: Any) -> tuple[object, ...]:
    """Return what must be equal in two points. Empty buckets around the full ones may differ."""
    rounded = (point.count, point.min, point.max, float(f"{point.sum:.9e}"))
    if hasattr(point, "bucket_counts"):
        return (*rounded, tuple(point.bucket_counts))
    full = tuple((point.positive.offset + i, n) for i, n in enumerate(point.positive.bucket_counts) if n)
    return (*rounded, point.zero_count, point.scale, full)
