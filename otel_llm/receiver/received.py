"""Spans and metrics received by OTLP, and the questions that can be asked about them.

The latest hundred thousand spans are kept. Of a metric stream (resource, scope, name, attributes) the latest cumulative
point is kept, or the sum of its delta points, so that the answer is the same for either temporality.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA, ResourceMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from otel_llm.receiver.histogram import ExplicitHistogram, ExponentialHistogram, read_histogram

__all__ = ["Received", "ReceivedExemplar", "ReceivedSpan"]

_SPANS: Final = 100_000
_EXEMPLARS: Final = 1_000


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span. Ids are integers, 0 for no parent; times are Unix nanoseconds; kind and status are their OTLP names,
    or the number of one that is not known here."""

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


@dataclass(frozen=True, slots=True)
class ReceivedExemplar:
    """A single measurement, in the unit of its metric, with the span it was made in (ids 0 when there was none)."""

    value: float
    trace_id: int
    span_id: int
    time_unix_ns: int


@dataclass(slots=True)
class _Stream:
    name: str
    unit: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    histogram: ExplicitHistogram | ExponentialHistogram | None = None
    value: float = 0.0
    exemplars: deque[ReceivedExemplar] = field(default_factory=lambda: deque(maxlen=_EXEMPLARS))


class Received:
    """Everything received so far. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._spans: deque[ReceivedSpan] = deque(maxlen=_SPANS)
        self._streams: dict[tuple[object, ...], _Stream] = {}

    # -- asking ------------------------------------------------------------------------------------------------

    @property
    def spans(self) -> list[ReceivedSpan]:
        """The spans, in order of arrival."""
        with self._changed:
            return list(self._spans)

    def metric_names(self) -> list[str]:
        """Return the names of the metrics that came in, sorted."""
        with self._changed:
            return sorted({stream.name for stream in self._streams.values()})

    def histogram(self, name: str, **attributes: Any) -> ExplicitHistogram | ExponentialHistogram | None:
        """Return a histogram merged over its streams; None when none came in.

        attributes: only streams that have these values; write `error_type` for `error.type`
        """
        merged: Any = None
        with self._changed:
            for stream in self._matching(name, attributes):
                if stream.histogram is not None:
                    merged = _copy(stream.histogram) if merged is None else merged.add(stream.histogram)
        return merged  # type: ignore[no-any-return]

    def counter(self, name: str, **attributes: Any) -> float | None:
        """Return the sum over a counter's (or gauge's) streams, filtered as in `histogram`; None when none came in."""
        with self._changed:
            values = [stream.value for stream in self._matching(name, attributes) if stream.histogram is None]
        return sum(values) if values else None

    def exemplars(self, name: str, **attributes: Any) -> list[ReceivedExemplar]:
        """Return the exemplars of a metric, over all streams and collections."""
        with self._changed:
            return [exemplar for stream in self._matching(name, attributes) for exemplar in stream.exemplars]

    def attributes(self, name: str) -> list[dict[str, Any]]:
        """Return the attributes of each stream of a metric."""
        with self._changed:
            return [dict(stream.attributes) for stream in self._matching(name, {})]

    def wait_for(self, condition: Callable[["Received"], object], timeout_s: float = 10.0) -> bool:
        """Wait until `condition` of what was received holds. Returns False when it did not within the time."""
        with self._changed:
            return bool(self._changed.wait_for(lambda: condition(self), timeout_s))

    def _matching(self, name: str, wanted: Mapping[str, Any]) -> Iterable[_Stream]:
        for stream in self._streams.values():
            found = {key.replace(".", "_"): value for key, value in stream.attributes.items()}
            if stream.name == name and all(found.get(key.replace(".", "_")) == value for key, value in wanted.items()):
                yield stream

    # -- taking in ---------------------------------------------------------------------------------------------

    def take_spans(self, batch: Iterable[ResourceSpans]) -> None:
        """Take the spans of an OTLP request."""
        spans = [
            _span(span, resource, scoped.scope.name)
            for part in batch
            for resource in (_dict(part.resource.attributes),)
            for scoped in part.scope_spans
            for span in scoped.spans
        ]
        with self._changed:
            self._spans.extend(spans)
            self._changed.notify_all()

    def take_metrics(self, batch: Iterable[ResourceMetrics]) -> None:
        """Take the data points of an OTLP request."""
        with self._changed:
            for part in batch:
                resource = _dict(part.resource.attributes)
                for scoped in part.scope_metrics:
                    for metric in scoped.metrics:
                        self._take(metric, resource, scoped.scope.name)
            self._changed.notify_all()

    def _take(self, metric: Any, resource: dict[str, Any], scope: str) -> None:
        kind = metric.WhichOneof("data")
        data = getattr(metric, kind) if kind else None
        if data is None or kind == "summary":
            return
        delta = getattr(data, "aggregation_temporality", None) == AGGREGATION_TEMPORALITY_DELTA
        for point in data.data_points:
            attributes = _dict(point.attributes)
            key = (_frozen(resource), scope, metric.name, _frozen(attributes))
            stream = self._streams.get(key)
            if stream is None:
                stream = self._streams[key] = _Stream(metric.name, metric.unit, attributes, resource)
            if kind in ("histogram", "exponential_histogram"):
                arrived: Any = read_histogram(point)
                stream.histogram = stream.histogram.add(arrived) if delta and stream.histogram else arrived
            else:
                stream.value = _number(point) + (stream.value if delta else 0.0)
            stream.exemplars.extend(map(_exemplar, point.exemplars))


def _copy(histogram: Any) -> Any:
    copy = object.__new__(type(histogram))
    copy.__dict__.update(histogram.__dict__)
    if isinstance(copy, ExponentialHistogram):
        copy.buckets = copy.buckets.copy()
    return copy


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
