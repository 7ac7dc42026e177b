"""SDK providers with OTLP export, for applications that have none: built here, owned and set by the caller.

They obey every OTEL_* variable that the SDK and its exporters know; an argument beats its variable. Nothing is exported
until a destination is named: the endpoint argument, an OTEL_EXPORTER_OTLP_*ENDPOINT variable or an OTEL_*_EXPORTER
variable.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import uuid4

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource

from otel_llm import conventions
from otel_llm.clock import now_ns
from otel_llm.errors import ConfigError
from otel_llm.sinks.exemplars import WORST
from otel_llm.sinks.exporters import (
    ExportTarget,
    Histograms,
    OtlpProtocol,
    choose_aggregation,
    exporter_names,
    make_log_exporter,
    make_metric_reader,
    make_span_exporter,
    silent_exporters,
)
from otel_llm.sinks.finished_spans import FinishedSpans
from otel_llm.sinks.ledger import CountedSpanProcessor, Ledger
from otel_llm.sinks.shown import ShownCalls

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import LoggerProvider

__all__ = ["Histograms", "OtlpProtocol", "Providers", "build_providers"]

_log = logging.getLogger("otel_llm")
_EXIT_S: Final = 5.0
"""How long the end of a process may wait for the last export."""


@dataclass
class Providers:
    """A tracer and a meter provider, and a ledger of their exports. Either is None where nothing of it is exported, or
    where the application had set its own. There is a logger provider where events with content were asked for."""

    tracer_provider: FinishedSpans | None = None
    meter_provider: MeterProvider | None = None
    logger_provider: "LoggerProvider | None" = None
    ledger: Ledger = field(default_factory=Ledger)
    _processors: list[CountedSpanProcessor] = field(default_factory=list)
    _shut: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    @property
    def is_shut_down(self) -> bool:
        """Whether nothing is exported any more."""
        return self._shut

    @property
    def exports(self) -> bool:
        """Whether spans or metrics go anywhere."""
        return bool(self._processors) or self.meter_provider is not None

    def force_flush(self, timeout_s: float = 10.0) -> bool:
        """Export what is recorded by now. Returns False when that took longer, or failed."""
        if self._shut:
            return True
        end = _deadline(timeout_s)
        done = [processor.force_flush(_left_ms(end)) for processor in self._processors]
        others = [provider for provider in (self.meter_provider, self.logger_provider) if provider is not None]
        return all([*done, *(_quietly(provider.force_flush, _left_ms(end)) for provider in others)])

    def shutdown(self, timeout_s: float = 10.0) -> Ledger:
        """Export what is left, stop, and return the ledger: recorded = exported + dropped. Later calls do nothing."""
        if self._shut:
            return self.ledger
        self._shut = True
        end = _deadline(timeout_s)
        for processor in self._processors:
            processor.shutdown(_left_ms(end) / 1e3)
        if self.tracer_provider is not None:
            self.tracer_provider.shutdown()
        if self.meter_provider is not None:
            _quietly(self.meter_provider.shutdown, max(_left_ms(end), 500))
        if self.logger_provider is not None:
            self.logger_provider.shutdown()
        return self.ledger

    def hurry(self) -> bool:
        """Export within 5 s what is recorded by now: each moment may be the last. False, said: not all went."""
        done = self.force_flush(_EXIT_S)
        if not done:
            _log.warning("could not export within %.0f s: %s", _EXIT_S, self._missing())
        return done

    def leave(self) -> None:
        """Shut down at the end of the process, within 5 s, and say in one line what was dropped."""
        if self._shut:
            return
        with silent_exporters():
            self.shutdown(_EXIT_S)
        if self.ledger.spans.dropped or self.ledger.points.dropped:
            _log.warning("dropped at the end: %s", self._missing())

    def _missing(self) -> str:
        """Return how many were not exported, and out of how many."""
        tallies = {"spans": self.ledger.spans, "data points": self.ledger.points}
        counts = (f"{t.recorded - t.exported:,} of {t.recorded:,} {name}" for name, t in tallies.items() if t.recorded)
        return f"{' and '.join(counts) or 'everything'}; next step: see that something receives OTLP at the endpoint"


def _deadline(timeout_s: float) -> int:
    return now_ns() + int(timeout_s * 1e9)


def _left_ms(deadline: int) -> int:
    return max((deadline - now_ns()) // 1_000_000, 0)


def _quietly(step: Any, timeout_millis: int) -> bool:
    """Call a step of the SDK that raises what its exporters raise: the end of a run is no place to break."""
    try:
        return step(timeout_millis=timeout_millis) is not False
    except Exception:
        _log.warning("could not export the last metrics", exc_info=True)
        return False


def build_providers(
    service_name: str | None = None,
    endpoint: str | None = None,
    protocol: OtlpProtocol | None = None,
    histograms: Histograms | None = None,
    *,
    resource_attributes: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    export_interval_s: float | None = None,
    signals: tuple[str, ...] = ("traces", "metrics"),
    show: bool = False,
    joined: FinishedSpans | None = None,
) -> Providers:
    """Build providers that belong to the caller, and set nothing.

    service_name: else OTEL_SERVICE_NAME, else "unknown_service"
    endpoint:     base URL of an OTLP receiver; over HTTP /v1/traces and /v1/metrics are appended
    protocol:     "grpc" or "http/protobuf"; else OTEL_EXPORTER_OTLP_(TRACES_|METRICS_)PROTOCOL, else "http/protobuf"
                  when the port of the endpoint is 4318, else "grpc"
    histograms:   "exponential" (base 2, 160 buckets) or "explicit" (the buckets each instrument advises); else
                  OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION, else exponential
    headers:      of every export; else OTEL_EXPORTER_OTLP_(TRACES_|METRICS_)HEADERS
    export_interval_s: seconds between exports of metrics; else OTEL_METRIC_EXPORT_INTERVAL (milliseconds), else 60
    show:         a line on stderr for each call that ends, and a summary at the end
    joined:       a tracer provider that exports nothing yet, and takes the exporters in place of a new one

    Raises ConfigError for an endpoint that is no address, for a protocol, a kind of histogram or an exporter that there
    is not, and for an interval that is not above 0.
    """
    if export_interval_s is not None and export_interval_s <= 0:
        raise ConfigError("more than 0 seconds between exports", export_interval_s)
    made, aggregation = Providers(), choose_aggregation(histograms)
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return made
    resource = _resource(service_name, resource_attributes or {})
    target = ExportTarget(endpoint, protocol, dict(headers or {}))
    names = {signal: exporter_names(signal, endpoint) for signal in signals}
    exporters = [make_span_exporter(name, target) for name in names.get("traces", ())]
    if exporters or (show and "traces" in signals):
        made.tracer_provider = joined or FinishedSpans(resource=resource)
        if joined is not None:
            joined.belong_to(resource)
        elif show:
            made.tracer_provider.add_span_processor(ShownCalls())
        for exporter in exporters:
            processor = CountedSpanProcessor(exporter, made.ledger.spans, **_batching())
            made._processors.append(processor)
            made.tracer_provider.add_span_processor(processor)
    interval_ms = None if export_interval_s is None else export_interval_s * 1e3
    if readers := [
        make_metric_reader(name, target, aggregation, interval_ms, made.ledger) for name in names.get("metrics", ())
    ]:
        made.meter_provider = MeterProvider(readers, resource=resource, views=[WORST], shutdown_on_exit=False)
    if conventions.capture_content() in ("event", "both"):
        made.logger_provider = _events_to(exporter_names("logs", endpoint), target, resource)
    return made


def _events_to(names: Sequence[str], target: ExportTarget, resource: Resource) -> "LoggerProvider | None":
    """Return what exports events, None where nobody said where to. Few programs need it, so it is loaded here."""
    if not names:
        return None
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    for name in names:
        provider.add_log_record_processor(BatchLogRecordProcessor(make_log_exporter(name, target)))
    return provider


def _resource(service_name: str | None, attributes: Mapping[str, Any]) -> Resource:
    given = {**attributes, **({SERVICE_NAME: service_name} if service_name else {})}
    resource = Resource.create(given)
    # each process its own series: the cumulative counts of two would overwrite each other
    own = {} if SERVICE_INSTANCE_ID in resource.attributes else {SERVICE_INSTANCE_ID: str(uuid4())}
    return resource.merge(Resource(own))


def _batching() -> dict[str, Any]:
    """Return the limits of the span queue, from the SDK's own variables where they are set."""
    names = {
        "queue": ("OTEL_BSP_MAX_QUEUE_SIZE", 1),
        "batch": ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1),
        "delay_s": ("OTEL_BSP_SCHEDULE_DELAY", 1e3),
    }
    found: dict[str, Any] = {}
    for key, (name, divisor) in names.items():
        value = os.environ.get(name, "").strip()
        if value.isdigit() and int(value) > 0:
            found[key] = int(value) if divisor == 1 else int(value) / divisor
    return found
