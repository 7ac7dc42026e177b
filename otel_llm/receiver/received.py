"""Spans and metrics received by OTLP, and the questions that can be asked about them.

The latest hundred thousand spans are kept. Of a metric stream (resource, scope, name, attributes) the latest cumulative
point is kept, or the sum of its delta points, so that the answer is the same for either temporality.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from otel_llm.receiver.decode import ReceivedExemplar, ReceivedPoint, ReceivedSpan, points_of, spans_of
from otel_llm.receiver.histogram import ExplicitHistogram, ExponentialHistogram

__all__ = ["Received"]

_SPANS: Final = 100_000
_EXEMPLARS: Final = 1_000


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
                    merged = stream.histogram.copy() if merged is None else merged.add(stream.histogram)
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
        spans = list(spans_of(batch))
        with self._changed:
            self._spans.extend(spans)
            self._changed.notify_all()

    def take_metrics(self, batch: Iterable[ResourceMetrics]) -> None:
        """Take the data points of an OTLP request."""
        points = list(points_of(batch))
        with self._changed:
            for point in points:
                self._take(point)
            self._changed.notify_all()

    def _take(self, point: ReceivedPoint) -> None:
        stream = self._streams.get(point.stream)
        if stream is None:
            stream = _Stream(point.name, point.unit, point.attributes, point.resource)
            self._streams[point.stream] = stream
        if point.histogram is not None:
            before = stream.histogram if point.delta else None
            arrived: Any = point.histogram
            stream.histogram = before.add(arrived) if before else arrived
        else:
            stream.value = point.value + (stream.value if point.delta else 0.0)
        stream.exemplars.extend(point.exemplars)
