"""OTLP messages as plain objects: a span, and a data point of a metric."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA, ResourceMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from otel_llm.receiver.histogram import ExplicitHistogram, ExponentialHistogram, read_histogram

__all__ = ["ReceivedEvent", "ReceivedExemplar", "ReceivedPoint", "ReceivedSpan", "points_of", "spans_of"]

_HISTOGRAMS: Final = ("histogram", "exponential_histogram")


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """Something that happened in a span, at a moment in Unix nanoseconds."""

    name: str
    at_unix_ns: int
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span. Ids are integers, 0 for no parent; times are Unix nanoseconds; kind and status are their OTLP names,
    or the number of one that is not known here. status_message: what was said about the status, often nothing."""

    name: str
    trace_id: int
    span_id: int
    parent_span_id: int
    kind: str
    start_unix_ns: int
    end_unix_ns: int
    status: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    scope: str
    status_message: str = ""
    events: tuple[ReceivedEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceivedExemplar:
    """A single measurement, in the unit of its metric, with the span it was made in (ids 0 when there was none)."""

    value: float
    trace_id: int
    span_id: int
    time_unix_ns: int


@dataclass(frozen=True, slots=True)
class ReceivedPoint:
    """A data point of a metric: a histogram, or else a value. delta: whether it counts since the point before it, not
    since its start; times are Unix nanoseconds."""

    name: str
    unit: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    scope: str
    delta: bool
    start_unix_ns: int
    time_unix_ns: int
    histogram: ExplicitHistogram | ExponentialHistogram | None
    value: float
    exemplars: tuple[ReceivedExemplar, ...]

    @property
    def stream(self) -> tuple[object, ...]:
        """What the points of one stream have in common."""
        return _frozen(self.resource), self.scope, self.name, _frozen(self.attributes)


def spans_of(batch: Iterable[ResourceSpans]) -> Iterator[ReceivedSpan]:
    """Yield the spans of an OTLP request."""
    for part in batch:
        resource = _dict(part.resource.attributes)
        for scoped in part.scope_spans:
            for span in scoped.spans:
                yield _span(span, resource, scoped.scope.name)


def points_of(batch: Iterable[ResourceMetrics]) -> Iterator[ReceivedPoint]:
    """Yield the data points of an OTLP request, without those of summaries."""
    for part in batch:
        resource = _dict(part.resource.attributes)
        for scoped in part.scope_metrics:
            for metric in scoped.metrics:
                yield from _points(metric, resource, scoped.scope.name)


def _points(metric: Any, resource: dict[str, Any], scope: str) -> Iterator[ReceivedPoint]:
    kind = metric.WhichOneof("data")
    if kind is None or kind == "summary":
        return
    data = getattr(metric, kind)
    delta = getattr(data, "aggregation_temporality", None) == AGGREGATION_TEMPORALITY_DELTA
    for point in data.data_points:
        yield ReceivedPoint(
            metric.name,
            metric.unit,
            _dict(point.attributes),
            resource,
            scope,
            delta,
            point.start_time_unix_nano,
            point.time_unix_nano,
            read_histogram(point) if kind in _HISTOGRAMS else None,
            0.0 if kind in _HISTOGRAMS else _number(point),
            tuple(map(_exemplar, point.exemplars)),
        )


def _number(point: Any) -> float:
    return float(getattr(point, point.WhichOneof("value") or "as_double"))


def _exemplar(exemplar: Any) -> ReceivedExemplar:
    trace_id, span_id = int.from_bytes(exemplar.trace_id), int.from_bytes(exemplar.span_id)
    return ReceivedExemplar(_number(exemplar), trace_id, span_id, exemplar.time_unix_nano)


def _span(span: Span, resource: dict[str, Any], scope: str) -> ReceivedSpan:
    return ReceivedSpan(
        span.name,
        int.from_bytes(span.trace_id),
        int.from_bytes(span.span_id),
        int.from_bytes(span.parent_span_id),
        _name_of(Span.SpanKind, span.kind, "SPAN_KIND_"),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _name_of(Status.StatusCode, span.status.code, "STATUS_CODE_"),
        _dict(span.attributes),
        resource,
        scope,
        span.status.message,
        tuple(ReceivedEvent(event.name, event.time_unix_nano, _dict(event.attributes)) for event in span.events),
    )


def _name_of(enum: Any, number: int, prefix: str) -> str:
    """Return the name of a member of an enum; its number where a newer sender has one that is not known here."""
    known = enum.DESCRIPTOR.values_by_number.get(number)
    return str(number) if known is None else str(known.name).removeprefix(prefix)


def _dict(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_value(item) for item in value.array_value.values)
    if kind == "kvlist_value":
        return _dict(value.kvlist_value.values)
    return getattr(value, kind) if kind else None


def _frozen(attributes: Mapping[str, Any]) -> frozenset[tuple[str, str, str]]:
    return frozenset((key, type(value).__name__, repr(value)) for key, value in attributes.items())
