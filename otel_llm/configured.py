"""`configure`: the global OpenTelemetry providers of an application that has none, set in one line.

OpenTelemetry sets its providers once in a process. So what is said first holds, and who says something else later is
told so.
"""

import logging
import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from opentelemetry import metrics, trace
from opentelemetry.metrics._internal import _ProxyMeterProvider

from otel_llm.process.ending import ENDING
from otel_llm.providers import Histograms, OtlpProtocol, Providers, build_providers
from otel_llm.sinks.exporters import exporter_names
from otel_llm.sinks.finished_spans import FinishedSpans

__all__ = ["configure"]

_log: Final = logging.getLogger("otel_llm")


def configure(
    endpoint: str | None = None,
    *,
    service_name: str | None = None,
    protocol: OtlpProtocol | None = None,
    histograms: Histograms | None = None,
    resource_attributes: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    export_interval_s: float | None = None,
    show: bool = False,
) -> Providers:
    """Set the global tracer and meter provider to ones that export by OTLP, and return a handle to flush and stop them.

    configure("http://localhost:4317", service_name="my-model")
    configure(show=True)  # needs nothing that receives

    Called again with the same arguments it returns the same handle. A provider that is set already otherwise is left as
    it is, with one warning, and the handle does nothing to it. The rest as in `build_providers`. At the end of the
    process what is left is exported, for which it waits up to 5 s.
    """
    global _configured
    given = (endpoint, service_name, protocol, histograms, resource_attributes, headers, export_interval_s, show)
    before = _configured if _configured is not None and _configured.stands() else None
    if before is not None and before.given == given and not before.made.is_shut_down:
        return before.made
    signals = []
    joined = None if before is None else before.joined_by(given)
    if joined is not None or isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        signals.append("traces")
    if isinstance(metrics.get_meter_provider(), _ProxyMeterProvider):
        signals.append("metrics")
    if len(signals) < 2 and not _is_there_already(given, before):
        _log.warning(_why_left(before))
    made = build_providers(
        service_name,
        endpoint,
        protocol,
        histograms,
        resource_attributes=resource_attributes,
        headers=headers,
        export_interval_s=export_interval_s,
        signals=tuple(signals),
        show=show,
        joined=joined,
    )
    # not the SDK's own handler: that waits for a receiver that is not there through all retries of each signal in turn
    ENDING.watch(made)
    _set_globally(made, joined)
    if before is not None and joined is not None:
        before.made.tracer_provider = None  # who exports its spans is who ends it
    if before is None or joined is not None:
        _configured = _Configured(given, made)
    if signals and not show and not _is_said_where_to(endpoint):
        _log.warning(
            "nothing is exported, since nobody said where to; "
            "next step: otel_llm.configure('http://localhost:4317'), or set OTEL_EXPORTER_OTLP_ENDPOINT"
        )
    return made


def _set_globally(made: Providers, joined: FinishedSpans | None) -> None:
    """Set the providers, but for one that was joined, which is set."""
    if made.tracer_provider is not None and made.tracer_provider is not joined:
        trace.set_tracer_provider(made.tracer_provider)
    if made.meter_provider is not None:
        metrics.set_meter_provider(made.meter_provider)
    if made.logger_provider is not None:
        from opentelemetry import _logs

        _logs.set_logger_provider(made.logger_provider)


class _Configured(NamedTuple):
    """What `configure` was told, and what it made of it."""

    given: tuple[Any, ...]
    made: Providers

    def joined_by(self, asked: tuple[Any, ...]) -> FinishedSpans | None:
        """Return the tracer provider that shows calls and exports nothing, where what is asked for is an export.

        `otel-llm run` sets such a one, before a program that it knows nothing of says where its telemetry is to go.
        """
        endpoint, *_ = asked
        shows = self.given[-1] and not (self.made.is_shut_down or self.made.exports)
        return self.made.tracer_provider if shows and exporter_names("traces", endpoint) else None

    def stands(self) -> bool:
        """Return whether a provider of it is one of the global ones."""
        ours = self.made.tracer_provider, self.made.meter_provider
        return any(
            one is not None and one is now
            for one, now in zip(ours, (trace.get_tracer_provider(), metrics.get_meter_provider()), strict=True)
        )


_configured: _Configured | None = None
"""By the first call of `configure` that set a provider which still stands."""


def _is_there_already(given: tuple[Any, ...], before: _Configured | None) -> bool:
    """Return whether all that is asked for besides a name stands: calls are shown, as `otel-llm run` had it done."""
    _, _, *exports, _ = given
    return before is not None and not before.made.is_shut_down and before.given[-1] and not any((given[0], *exports))


def _why_left(before: _Configured | None) -> str:
    """Return why providers that are set are left as they are."""
    if before is None:
        return (
            "an OpenTelemetry provider is set already and is left as it is; "
            "next step: call otel_llm.configure() first, or not at all"
        )
    if before.made.is_shut_down:
        return (
            "what otel_llm.configure() had set was shut down, and OpenTelemetry's providers are set once in a process: "
            "nothing more is exported; next step: shut down at the end, or call force_flush() meanwhile"
        )
    return (
        "otel_llm.configure() was called before with other arguments, and what it set then holds; "
        "next step: call it once, with all of them"
    )


def _is_said_where_to(endpoint: str | None) -> bool:
    """Return whether an endpoint is named, or the environment says what is to become of spans and metrics."""
    wished = any(os.environ.get(name, "").strip() for name in ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER"))
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return wished or disabled or any(exporter_names(signal, endpoint) for signal in ("traces", "metrics"))
