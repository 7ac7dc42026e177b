"""Telemetry in memory, the same for every library: what its spans and metrics said of the calls since the last look."""

from dataclasses import dataclass
from typing import Any

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@dataclass(frozen=True)
class Point:
    """What a histogram, or a counter, was told since the last look. `unit` is the instrument's."""

    name: str
    unit: str
    count: int
    total: float
    greatest: float
    attributes: dict[str, Any]


class Seen:
    """The global providers, with exporters in memory."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        since_last = dict.fromkeys((sdk.Histogram, sdk.Counter), AggregationTemporality.DELTA)
        self._reader = InMemoryMetricReader(since_last)  # type: ignore[arg-type]
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        trace.set_tracer_provider(tracers)
        metrics.set_meter_provider(sdk.MeterProvider([self._reader]))
        self._logged, loggers = InMemoryLogRecordExporter(), LoggerProvider()
        loggers.add_log_record_processor(SimpleLogRecordProcessor(self._logged))
        _logs.set_logger_provider(loggers)

    def spans(self) -> list[ReadableSpan]:
        """Return the spans that ended, and forget them."""
        spans = list(self._exporter.get_finished_spans())
        self._exporter.clear()
        return spans

    def points(self) -> list[Point]:
        """Return what the metrics were told, and forget it."""
        data = self._reader.get_metrics_data()
        return [
            _point(metric, point)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]

    def events(self) -> list[str]:
        """Return the log records as texts, and forget them."""
        events = [repr((each.log_record.body, each.log_record.attributes)) for each in self._logged.get_finished_logs()]
        self._logged.clear()
        return events

    def forget(self) -> None:
        """Forget what was seen so far."""
        self.spans()
        self.events()
        self.points()


def _point(metric: Any, point: Any) -> Point:
    attributes = dict(point.attributes or {})
    if hasattr(point, "value"):
        return Point(metric.name, metric.unit, 1, point.value, point.value, attributes)
    return Point(metric.name, metric.unit, point.count, point.sum, point.max, attributes)
