"""SDK providers with OTLP export in one line, for who has not set any up.

`configure` sets the global providers unless the application has; `providers` only builds them, for who owns a run.
Both obey every OTEL_* variable that the SDK and its exporters know; an argument beats its variable. Nothing is exported
until somebody said where to: the endpoint argument, an OTEL_EXPORTER_OTLP_*ENDPOINT or an OTEL_*_EXPORTER variable.
"""

import atexit
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self
from uuid import uuid4

from opentelemetry import metrics, trace
from opentelemetry.metrics._internal import _ProxyMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider

from otel_llm.clock import now_ns
from otel_llm.sinks.exemplars import WORST
from otel_llm.sinks.exporters import Histograms, Protocol, Target, metric_reader, preferred, span_exporter, wanted
from otel_llm.sinks.finished_spans import FinishedSpans
from otel_llm.sinks.ledger import CountedSpanProcessor, Ledger

__all__ = ["Histograms", "Protocol", "Telemetry", "configure", "providers"]

_log = logging.getLogger("otel_llm")
_EXIT_S: Final = 5.0
"""How long the end of a process may wait for the last export."""


@dataclass
class Telemetry:
    """Providers and what became of their data. Either is None where nothing is exported, or it was not ours to set."""

    tracer_provider: TracerProvider | None = None
    meter_provider: MeterProvider | None = None
    ledger: Ledger = field(default_factory=Ledger)
    _processors: list[CountedSpanProcessor] = field(default_factory=list)
    _shut: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def force_flush(self, timeout_s: float = 10.0) -> bool:
        """Export what is recorded by now. Returns False when that took longer, or failed."""
        if self._shut:
            return True
        end = _deadline(timeout_s)
        done = [processor.force_flush(_left_ms(end)) for processor in self._processors]
        if self.meter_provider is not None:
            done.append(_quietly(self.meter_provider.force_flush, _left_ms(end)))
        return all(done)

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
        return self.ledger


def _deadline(timeout_s: float) -> int:
    return now_ns() + int(timeout_s * 1e9)


def _left_ms(deadline: int) -> int:
    return max((deadline - now_ns()) // 1_000_000, 0)


def _quietly(step: Any, timeout_millis: int) -> bool:
    """Call a step of the SDK that raises what its exporters raise: the end of a run is no place to break."""
    try:
        return step(timeout_millis=timeout_millis) is not False
    except Exception:
        _log.warning("expected to export the last metrics", exc_info=True)
        return False


def configure(
    service_name: str | None = None,
    endpoint: str | None = None,
    protocol: Protocol | None = None,
    histograms: Histograms | None = None,
    *,
    resource_attributes: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    export_interval_s: float | None = None,
) -> Telemetry:
    """Set the global tracer and meter provider to ones that export by OTLP, and return a handle to flush and stop them.

    A provider that is set already is left as it is, with one warning, and the handle does nothing to it. The rest as
    in `providers`. At the end of the process what is left is exported, for which it waits up to 5 s.
    """
    signals = []
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        signals.append("traces")
    if isinstance(metrics.get_meter_provider(), _ProxyMeterProvider):
        signals.append("metrics")
    if len(signals) < 2:
        _log.warning(
            "expected no OpenTelemetry provider to be set, got one already; it is left as it is; "
            "next step: call otel_llm.configure() first, or not at all"
        )
    telemetry = providers(
        service_name,
        endpoint,
        protocol,
        histograms,
        resource_attributes=resource_attributes,
        headers=headers,
        export_interval_s=export_interval_s,
        signals=tuple(signals),
    )
    # not the SDK's own: that waits for a receiver that is not there through all retries of each signal in turn
    atexit.register(telemetry.shutdown, _EXIT_S)
    if telemetry.tracer_provider is not None:
        trace.set_tracer_provider(telemetry.tracer_provider)
    if telemetry.meter_provider is not None:
        metrics.set_meter_provider(telemetry.meter_provider)
    if signals and telemetry.tracer_provider is None and telemetry.meter_provider is None:
        _log.info("nothing is exported; next step: give an endpoint, or set OTEL_EXPORTER_OTLP_ENDPOINT")
    return telemetry


def providers(
    service_name: str | None = None,
    endpoint: str | None = None,
    protocol: Protocol | None = None,
    histograms: Histograms | None = None,
    *,
    resource_attributes: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    export_interval_s: float | None = None,
    signals: tuple[str, ...] = ("traces", "metrics"),
) -> Telemetry:
    """Build providers that belong to the caller, and set nothing.

    service_name: else OTEL_SERVICE_NAME, else "unknown_service"
    endpoint:     base URL of an OTLP receiver; over HTTP /v1/traces and /v1/metrics are appended
    protocol:     "grpc" or "http/protobuf"; else OTEL_EXPORTER_OTLP_(TRACES_|METRICS_)PROTOCOL, else "http/protobuf"
                  when the port of the endpoint is 4318, else "grpc"
    histograms:   "exponential" (base 2, 160 buckets) or "explicit" (the buckets each instrument advises); else
                  OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION, else exponential
    headers:      of every export; else OTEL_EXPORTER_OTLP_(TRACES_|METRICS_)HEADERS
    export_interval_s: seconds between exports of metrics; else OTEL_METRIC_EXPORT_INTERVAL (milliseconds), else 60

    Raises ConfigError for a protocol, a kind of histogram or an exporter that there is not.
    """
    telemetry, kind = Telemetry(), preferred(histograms)
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return telemetry
    resource = _resource(service_name, resource_attributes or {})
    target = Target(endpoint, protocol, dict(headers or {}))
    span_exporters = [span_exporter(n, target) for n in wanted("traces", endpoint)] if "traces" in signals else []
    if span_exporters:
        telemetry.tracer_provider = FinishedSpans(resource=resource)
        for exporter in span_exporters:
            processor = CountedSpanProcessor(exporter, telemetry.ledger.spans, **_batching())
            telemetry._processors.append(processor)
            telemetry.tracer_provider.add_span_processor(processor)
    interval = None if export_interval_s is None else export_interval_s * 1e3
    readers = (
        [metric_reader(n, target, kind, interval, telemetry.ledger) for n in wanted("metrics", endpoint)]
        if "metrics" in signals
        else []
    )
    if readers:
        telemetry.meter_provider = MeterProvider(readers, resource=resource, views=[WORST], shutdown_on_exit=False)
    return telemetry


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
