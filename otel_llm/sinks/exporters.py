"""The exporters that arguments and OTEL_* variables name. Each is imported when it is made."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from opentelemetry.sdk.metrics import Histogram
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, ExponentialBucketHistogramAggregation

from otel_llm.errors import ConfigError
from otel_llm.sinks.ledger import CountedMetricExporter, Ledger

__all__ = [
    "ExportTarget",
    "Histograms",
    "OtlpProtocol",
    "choose_aggregation",
    "exporter_names",
    "make_log_exporter",
    "make_metric_reader",
    "make_span_exporter",
    "port_of",
    "silent_exporters",
    "whole",
    "with_scheme",
]

Histograms = Literal["exponential", "explicit"]
OtlpProtocol = Literal["grpc", "http/protobuf"]

_GRPC_PORT: Final = 4317
_HTTP_PORT: Final = 4318
_SIGNAL: Final = re.compile(r"/v1/(traces|metrics|logs)$")
"""What some give with the base URL, and exporters append."""
_GRPC_SCHEMES: Final = ("unix", "unix-abstract", "dns", "ipv4", "ipv6")
"""Of what is no URL of HTTP, and gRPC connects to."""
_AGGREGATIONS: Final = {
    "exponential": ExponentialBucketHistogramAggregation,
    "explicit": ExplicitBucketHistogramAggregation,
}


@dataclass(frozen=True)
class ExportTarget:
    """Where and how to export, as far as arguments say it; the environment says the rest."""

    endpoint: str | None
    protocol: str | None
    headers: dict[str, str]

    def __post_init__(self) -> None:
        """Raise ConfigError for an endpoint that is no address."""
        if self.endpoint and not (isinstance(self.endpoint, str) and _is_address(self.endpoint)):
            example = "such as http://localhost:4317; a service is named by service_name"
            raise ConfigError("the base URL of an OTLP receiver", self.endpoint, example)

    def speaks_http(self, signal: str) -> bool:
        """Return whether a signal goes out over HTTP; over gRPC otherwise."""
        chosen = self.protocol or _variable(signal, "PROTOCOL")
        if chosen is None:
            url = self.endpoint or _variable(signal, "ENDPOINT")
            return bool(url) and urlsplit(with_scheme(url)).port == _HTTP_PORT
        if chosen not in ("grpc", "http/protobuf"):
            raise ConfigError("the OTLP protocol to be grpc or http/protobuf", chosen)
        return chosen == "http/protobuf"

    def arguments(self, signal: str, http: bool) -> dict[str, Any]:
        """Return what an OTLP exporter is made with; what is left out it reads from the environment itself."""
        found: dict[str, Any] = {"headers": self.headers} if self.headers else {}
        if self.endpoint:
            base = _SIGNAL.sub("", whole(self.endpoint, http=http).rstrip("/"))
            found["endpoint"] = f"{base}/v1/{signal}" if http else base
        return found


def _is_address(url: str) -> bool:
    """Return whether `url` can be an address: with a scheme, a port or a dot, and no port that is no number."""
    try:
        parts = urlsplit(with_scheme(url))
        said = parts.port is not None or "://" in url or "." in url or url == "localhost"
    except ValueError:
        return False
    return said and (bool(parts.hostname) if parts.scheme in ("http", "https") else parts.scheme in _GRPC_SCHEMES)


def with_scheme(url: str | None) -> str:
    """Return the address with its scheme: without one it is plain HTTP, where OpenTelemetry's exporter takes TLS."""
    return url if url and "://" in url else f"http://{url}"


def whole(url: str, *, http: bool) -> str:
    """Return the address with its scheme and its port, OTLP's own where it says neither a port nor TLS.

    OpenTelemetry's exporter sends plain gRPC to port 443 then, where only TLS is spoken. A URL by HTTP has a port
    without saying so, that of its scheme; a name alone has none.

    http: whether OTLP goes over HTTP; over gRPC otherwise
    """
    parts = urlsplit(with_scheme(url))
    if parts.scheme != "http" or parts.port is not None or (http and "://" in url):
        return with_scheme(url)
    return parts._replace(netloc=f"{parts.netloc.rstrip(':')}:{_HTTP_PORT if http else _GRPC_PORT}").geturl()


def port_of(url: str, *, http: bool) -> int | None:
    """Return the port that OpenTelemetry's exporter connects to; None for what it connects to otherwise, or not at all.

    url: as the exporter has it; one without a scheme begins with `//`. Raises ValueError where the port is no number.
    """
    parts = urlsplit(url)
    defaults = {"http": 80, "https": 443} if http else {"": 443, "http": 443, "https": 443}
    return defaults.get(parts.scheme) if parts.port is None else parts.port


def _variable(signal: str, what: str) -> str | None:
    """Return OTEL_EXPORTER_OTLP_{what} for one signal, or for all; None when it is unset or empty."""
    names = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}", f"OTEL_EXPORTER_OTLP_{what}")
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)


def exporter_names(signal: str, endpoint: str | None) -> list[str]:
    """Return the names of the exporters for a signal, `traces`, `metrics` or `logs`; an empty list to export none."""
    listed = os.environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip()
    if listed:
        return [name for item in listed.split(",") if (name := item.strip()) and name != "none"]
    return ["otlp"] if endpoint or _variable(signal, "ENDPOINT") else []


def choose_aggregation(histograms: Histograms | None) -> dict[type, Any] | None:
    """Return the aggregation of histograms, as an exporter prefers it; None to let the exporter read its variable.

    Raises ConfigError for a kind of histogram that there is not.
    """
    if histograms is not None and histograms not in _AGGREGATIONS:
        raise ConfigError("histograms to be exponential or explicit", histograms)
    if histograms is None and os.environ.get("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "").strip():
        return None
    return {Histogram: _AGGREGATIONS[histograms or "exponential"]()}


def make_span_exporter(name: str, target: ExportTarget) -> Any:
    """Return a new span exporter. Raises ConfigError when there is none of that name."""
    if name == "otlp":
        from otel_llm.sinks.otlp_spans import with_own_encoder

        exporter: Any
        if http := target.speaks_http("traces"):
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OverHttp

            exporter = OverHttp
        else:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc

            exporter = OverGrpc
        return with_own_encoder(exporter)(**target.arguments("traces", http))
    return _plugin("opentelemetry_traces_exporter", name)()


def make_log_exporter(name: str, target: ExportTarget) -> Any:
    """Return a new exporter of events. Raises ConfigError when there is none of that name."""
    if name == "otlp":
        if target.speaks_http("logs"):
            from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as OverHttp

            return OverHttp(**target.arguments("logs", http=True))
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as OverGrpc

        return OverGrpc(**target.arguments("logs", http=False))
    return _plugin("opentelemetry_logs_exporter", name)()


def make_metric_reader(
    name: str, target: ExportTarget, aggregation: dict[type, Any] | None, interval_ms: float | None, ledger: Ledger
) -> MetricReader:
    """Return a new reader: a pushing one that counts its points, or one to be pulled from. Raises ConfigError."""
    exporter: Any
    if name == "otlp":
        http = target.speaks_http("metrics")
        arguments = {**target.arguments("metrics", http), "preferred_aggregation": aggregation}
        if http:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as OverHttp

            exporter = OverHttp(**arguments)
        else:
            from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as OverGrpc

            exporter = OverGrpc(**arguments)
    else:
        made = _plugin("opentelemetry_metrics_exporter", name)
        if isinstance(made, type) and issubclass(made, MetricReader):  # pulled from, such as Prometheus
            return made()
        exporter = made(preferred_aggregation=aggregation)
    return PeriodicExportingMetricReader(
        CountedMetricExporter(exporter, ledger.points), export_interval_millis=interval_ms
    )


def _plugin(group: str, name: str) -> Any:
    for entry in entry_points(group=group, name=name):
        return entry.load()
    known = sorted({entry.name for entry in entry_points(group=group)} | {"none", "otlp"})
    raise ConfigError(f"one of the exporters {', '.join(known)}", name, "install the one you want, or correct its name")


@contextmanager
def silent_exporters() -> Iterator[None]:
    """Keep the exporters from logging each of their tries: what became of them all is said at the end."""
    known = logging.Logger.manager.loggerDict.items()
    heard = [log for name, log in known if name.startswith("opentelemetry.") and isinstance(log, logging.Logger)]
    quieted = [log for log in heard if not log.disabled]
    for log in quieted:
        log.disabled = True
    try:
        yield
    finally:
        for log in quieted:
            log.disabled = False
