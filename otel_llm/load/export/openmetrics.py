"""A run as OpenMetrics text: what a textfile collector, a Pushgateway or `promtool` reads, of runs at night.

Values of one run, under names of their own: the histograms that OTLP sends are another thing.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from otel_llm.conventions import RUN_PREFIX
from otel_llm.errors import ConfigError
from otel_llm.measures import MEASURES
from otel_llm.percentiles import REPORTED, percentile_name

__all__ = ["openmetrics_of_run"]

_UNITS: Final = {"s": "seconds", "{token}": "tokens"}
_GAUGES: Final = {
    "request_throughput": ("requests_per_second", "Answers per second"),
    "output_token_throughput": ("output_tokens_per_second", "Output tokens per second"),
    "duration": ("duration_seconds", "From the first request sent to the last that ended"),
}


def openmetrics_of_run(report: Mapping[str, Any]) -> bytes:
    """Return the report of a run. Raises ConfigError where the extra `report` is not installed."""
    try:
        from prometheus_client.core import CollectorRegistry
        from prometheus_client.openmetrics.exposition import generate_latest
    except ImportError as error:
        raise ConfigError("the extra `report`", str(error), "pip install 'otel-llm[report]'") from error

    class Run:
        def collect(self) -> Iterator[Any]:
            yield from _families(report)

    registry = CollectorRegistry()
    registry.register(Run())
    made: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return made


def _families(report: Mapping[str, Any]) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
    from prometheus_client.metrics_core import Metric

    run = report["run"]
    labels = {"run_id": run["id"], "model": str(run["arguments"].get("model") or run["name"])}
    info = InfoMetricFamily(f"{RUN_PREFIX}_report", "What the run was")
    info.add_metric((), {**labels, "name": run["name"], "started_at": run["started_at"]})
    yield info
    for measure in MEASURES:
        row = report["measures"].get(measure.name)
        if row and row["count"]:
            unit = _UNITS.get(measure.unit, "")
            family = Metric(_name(measure.name, unit), measure.name.replace("_", " "), "summary")
            for q in REPORTED:
                if (value := row[percentile_name(q)]) is not None:
                    family.add_sample(family.name, {**labels, "quantile": f"{q / 100:g}"}, value)
            family.add_sample(f"{family.name}_count", labels, row["count"])
            if row["mean"] is not None:
                family.add_sample(f"{family.name}_sum", labels, row["mean"] * row["count"])
            yield family
    requests = GaugeMetricFamily(f"{RUN_PREFIX}_requests", "Requests of the run", labels=(*labels, "outcome"))
    for outcome in ("planned", "sent", "succeeded", "failed", "cancelled"):
        if report["requests"][outcome] is not None:
            requests.add_metric((*labels.values(), outcome), report["requests"][outcome])
    yield requests
    figures = {**report, **({"client_limited": report["client"]["saturated"]} if report["client"] else {})}
    gauges = {**_GAUGES, "client_limited": ("client_limited", "1 where this client was the limit, 0 where it was not")}
    if report["slo"]:
        figures |= {"goodput": report["slo"]["goodput"], "slo_met": report["slo"]["met"]}
        gauges |= {
            "goodput": ("goodput_per_second", "Answers per second that keep the objective"),
            "slo_met": ("slo_met", "1 where the objective was met, 0 where it was missed"),
        }
    for name, (called, about) in gauges.items():
        if (value := figures.get(name)) is not None:
            family = GaugeMetricFamily(f"{RUN_PREFIX}_{called}", about, labels=tuple(labels))
            family.add_metric(tuple(labels.values()), float(value))
            yield family


def _name(measure: str, unit: str) -> str:
    """Return the name of a measure, which ends in its unit as OpenMetrics wants it."""
    return f"{RUN_PREFIX}_{measure.removesuffix(f'_{unit}')}{f'_{unit}' if unit else ''}"
