"""A run as OpenTelemetry: a span and histogram values for every request, and a description of the run.

The coordinator makes all of it from finished records. Exports run in threads of their own; a ledger counts what was
recorded, exported and dropped.
"""

import os
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np

from otel_llm import conventions
from otel_llm.clock import now_ns
from otel_llm.errors import ConfigError
from otel_llm.load.figures.health import Health
from otel_llm.load.outputs.complaints import Complaints
from otel_llm.load.show.live import log
from otel_llm.sinks import Ended

__all__ = ["Export", "RunTelemetry"]

_SERVICE = "otel-llm-perf"
_INTERVAL_S = 5.0
_BATCH = 64
_PATIENCE_NS = 1_000_000_000
_KNOCK_S = 1.0
_LAST_S, _LAST_IN_VAIN_S = 10.0, 1.0
"""How long the end of a run waits for the receiver, and where nothing listens."""


@dataclass(frozen=True, slots=True)
class Export:
    """Where telemetry goes, and how: what `--otlp-endpoint`, `--otlp-protocol` and `--histograms` say."""

    endpoint: str | None = None
    protocol: Literal["grpc", "http/protobuf"] | None = None
    histograms: Literal["exponential", "explicit"] = "exponential"

    @property
    def checked_endpoint(self) -> str | None:
        """The endpoint, None for none. Raises ConfigError for one with a query, or with a port that is no number."""
        if self.endpoint is None:
            return None
        try:
            port_known = urlsplit(self.endpoint if "://" in self.endpoint else f"//{self.endpoint}").port != 0
        except ValueError:
            port_known = False
        if not port_known:  # what stands there may be a password
            raise ConfigError("--otlp-endpoint such as http://localhost:4317", "one whose port is no number")
        if "?" in self.endpoint:
            raise ConfigError(
                "--otlp-endpoint to be a base URL", "one with a query", "give a key with OTEL_EXPORTER_OTLP_HEADERS"
            )
        return self.endpoint

    def refused_at(self) -> str | None:
        """Return HOST:PORT where connections are refused; None where they are not, or where nobody can tell."""
        from otel_llm.sinks.exporters import ExportTarget, port_of, whole

        try:
            http = ExportTarget(self.checked_endpoint, self.protocol, {}).speaks_http("traces")
            given = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
            url = whole(self.endpoint, http=http) if self.endpoint else given if "://" in given else f"//{given}"
            host, port = urlsplit(url).hostname, port_of(url, http=http)
            if host and port and not getproxies():
                socket.create_connection((host, port), _KNOCK_S).close()
        except ConnectionRefusedError:
            return f"{host}:{port}"
        except (OSError, ValueError):  # the exporter says more
            pass
        return None

    @property
    def wanted(self) -> bool:
        """Whether anything is to be exported: an endpoint was given, or the environment names one or an exporter."""
        named = (name for name, value in os.environ.items() if name.startswith("OTEL_") and value)
        return self.endpoint is not None or any(
            (name.startswith("OTEL_EXPORTER_OTLP") and name.endswith("ENDPOINT"))
            or name in ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER")
            for name in named
        )  # fmt: skip


class RunTelemetry:
    """A sink that sends a run to an OTLP endpoint. Make it after the workers were forked: exporters start threads."""

    def __init__(
        self,
        export: Export,
        head: Mapping[str, Any],
        mode: str,
        health: Health,
        strike: Callable[[str], str] = lambda text: text,
    ) -> None:
        """Raises ConfigError for settings that no exporter can be made of.

        head:   the `run` of a report
        health: read when the run is over
        strike: takes secrets out of what exporters say
        """
        from otel_llm.providers import build_providers
        from otel_llm.sinks.otel import OTelSink

        self._run = {
            conventions.RUN_ID: head["id"],
            conventions.RUN_NAME: head["name"],
            conventions.RUN_MODE: mode,
        }
        interval = None if "OTEL_METRIC_EXPORT_INTERVAL" in os.environ else _INTERVAL_S
        self._complaints = Complaints(strike)
        self._complaints.listen()
        try:
            self._telemetry = build_providers(
                None if "OTEL_SERVICE_NAME" in os.environ else _SERVICE,
                export.checked_endpoint,
                export.protocol,
                export.histograms,
                resource_attributes={conventions.RUN_ID: head["id"]},
                export_interval_s=interval,
            )
        except ConfigError:
            self._complaints.stop()
            raise
        except Exception as error:  # whatever the SDK makes of an option or of a variable
            self._complaints.stop()
            said = strike(f"{type(error).__name__}: {error}")
            raise ConfigError("settings to export telemetry by", said, "look at --otlp-endpoint and OTEL_*") from None
        self._export = export
        if where := export.refused_at():
            log.warning("nothing listens at %s: telemetry is lost unless a receiver starts there before the end", where)
        self._sink = OTelSink(self._telemetry.tracer_provider, self._telemetry.meter_provider)
        self._sink.feed("run_info", (1,), self._run)
        self._health = health
        self._waiting: list[Ended] = []
        self._waits_since = now_ns()

    def take(self, ended: Sequence[Ended]) -> None:
        """Make the spans and feed the metrics of requests that ended, in batches: one at a time would cost more."""
        self._waiting += ended
        if len(self._waiting) >= _BATCH or now_ns() - self._waits_since > _PATIENCE_NS:
            self._feed()
        for good, count in Counter(call.met for call in ended if call.met is not None).items():
            self._sink.feed("slo_requests", (count,), {conventions.SLO_MET: good})

    def _feed(self) -> None:
        self._sink.take(self._waiting)
        self._waiting, self._waits_since = [], now_ns()

    def close(self, report: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Export what is left; return the ledger of spans and of metric points: recorded = exported + dropped.

        `problem` says why some were dropped, where some were.
        """
        self._feed()
        self._sink.feed("loop_lag", np.asarray(self._health.loop_lag_ns, np.float64) / 1e9, {})
        if report is not None:
            limited = {conventions.CLIENT_LIMITED: bool(report["client"]["saturated"])}
            self._sink.feed("run_info", (1,), {**self._run, **limited})
        where = self._export.refused_at()
        ledger = self._telemetry.shutdown(_LAST_IN_VAIN_S if where else _LAST_S)
        self._complaints.stop()
        found: dict[str, Any] = {
            name: {"recorded": tally.recorded, "exported": tally.exported, "dropped": tally.dropped}
            for name, tally in (("spans", ledger.spans), ("metric_points", ledger.points))
        }
        dropped = ledger.spans.dropped + ledger.points.dropped
        reason = f"nothing listens at {where}: connection refused" if where else self._complaints.last
        return found | ({"problem": reason or "the receiver did not take it"} if dropped else {})
