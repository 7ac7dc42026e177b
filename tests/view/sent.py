"""OTLP as programs send it, made by hand: spans of calls, histograms."""

import struct
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    AGGREGATION_TEMPORALITY_DELTA,
    ResourceMetrics,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from otel_llm.clock import SYSTEM, now_ns

__all__ = ["explicit", "exponential", "first_asked", "gauges", "spans"]


def pairs(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value(each)) for key, each in attributes.items()]


def value(given: Any) -> AnyValue:
    if isinstance(given, bool):
        return AnyValue(bool_value=given)
    if isinstance(given, int):
        return AnyValue(int_value=given)
    if isinstance(given, float):
        return AnyValue(double_value=given)
    if isinstance(given, list):
        return AnyValue(array_value=ArrayValue(values=map(value, given)))
    return AnyValue(string_value=given)


def spans(*each: Mapping[str, Any], **resource: Any) -> ResourceSpans:
    """Return spans of one resource. trace, span and parent are numbers, start and took seconds."""
    found = ResourceSpans()
    found.resource.attributes.extend(pairs({key.replace("_", "."): value for key, value in resource.items()}))
    scoped = found.scope_spans.add()
    for given in each:
        start = round(given["start"] * 1e9)
        span = scoped.spans.add(
            name=given.get("name", "chat"),
            trace_id=struct.pack(">QQ", 0, given["trace"]),
            span_id=struct.pack(">Q", given["span"]),
            parent_span_id=struct.pack(">Q", given["parent"]) if given.get("parent") else b"",
            kind=given.get("kind", 3),
            start_time_unix_nano=start,
            end_time_unix_nano=start + round(given["took"] * 1e9),
            attributes=pairs(given.get("said", {})),
        )
        if "failed" in given:
            span.status.code, span.status.message = 2, given["failed"]
        for name, at, said in given.get("events", ()):
            span.events.add(name=name, time_unix_nano=start + round(at * 1e9), attributes=pairs(said))
    return found


def _metric(name: str, resource: Mapping[str, Any]) -> tuple[ResourceMetrics, Any]:
    found = ResourceMetrics()
    found.resource.attributes.extend(pairs(resource))
    return found, found.scope_metrics.add().metrics.add(name=name, unit="s")


def exponential(
    name: str, at: float, scale: int, first: int, counts: Iterable[int], *, began: float = 1.0, delta: bool = False,
    said: Mapping[str, Any] | None = None, **resource: Any,
) -> ResourceMetrics:  # fmt: skip
    """Return an exponential histogram whose buckets begin at index `first`."""
    found, metric = _metric(name, resource)
    counts = list(counts)
    histogram = metric.exponential_histogram
    histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_DELTA if delta else AGGREGATION_TEMPORALITY_CUMULATIVE
    point = histogram.data_points.add(
        time_unix_nano=round(at * 1e9), start_time_unix_nano=round(began * 1e9), scale=scale, count=sum(counts),
        sum=sum(n * 2 ** ((first + i + 0.5) * 2**-scale) for i, n in enumerate(counts)), attributes=pairs(said or {}),
    )  # fmt: skip
    point.positive.offset = first
    point.positive.bucket_counts.extend(counts)
    return found


def explicit(
    name: str, at: float, bounds: Iterable[float], counts: Iterable[int], *, said: Mapping[str, Any] | None = None,
    **resource: Any,
) -> ResourceMetrics:  # fmt: skip
    found, metric = _metric(name, resource)
    counts = list(counts)
    metric.histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
    metric.histogram.data_points.add(
        time_unix_nano=round(at * 1e9), start_time_unix_nano=1, count=sum(counts), explicit_bounds=bounds,
        bucket_counts=counts, attributes=pairs(said or {}),
    )  # fmt: skip
    return found


def gauges(at: float, values: Mapping[str, float], said: Mapping[str, Any], **resource: Any) -> ResourceMetrics:
    """Return a point of each gauge, by its name."""
    found = ResourceMetrics()
    found.resource.attributes.extend(pairs(resource))
    scoped = found.scope_metrics.add()
    for name, number in values.items():
        point = scoped.metrics.add(name=name).gauge.data_points.add(time_unix_nano=round(at * 1e9), as_double=number)
        point.attributes.extend(pairs(said))
    return found


@cache
def first_asked() -> float:
    """Return when this was first asked for, Unix seconds: tests are collected long before they run."""
    return SYSTEM.wall_ns(now_ns()) / 1e9
