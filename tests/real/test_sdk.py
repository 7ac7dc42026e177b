"""A decorated call under the SDK's own set-up and exporters: what each of them says was counted is what happened."""

import json
import re
import sys
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.running import App
from tests.real.stored import ARRIVES_S, Stored
from tests.vocabulary import metric_name
from tools.ports import HOST, free
from tools.services import Collector, Prometheus
from tools.waiting import until

pytestmark = pytest.mark.timeout(90)

CALLS, TOKENS = 30, 20
COUNTS = {
    metric_name("time_to_first_token"): CALLS,
    metric_name("inter_token_latency"): CALLS * (TOKENS - 1),
    metric_name("time_per_output_token"): CALLS,
    metric_name("operation_duration"): CALLS,
    metric_name("server_request_duration"): CALLS,
}
SUMS = {metric_name("time_to_first_token"): "ttft", metric_name("inter_token_latency"): "itl"}

TEMPORALITIES = ["cumulative", "delta"]
HISTOGRAMS = {"explicit": "explicit_bucket_histogram", "exponential": "base2_exponential_bucket_histogram"}
Totals = dict[str, tuple[float, float]]
"""Count and sum by the instrument's name."""


@pytest.mark.parametrize("histograms", HISTOGRAMS)
@pytest.mark.parametrize("temporality", TEMPORALITIES)
def test_three_exporters_of_the_sdk_at_once(
    temporality: str, histograms: str, otelcol: Collector, prometheus: Prometheus, tmp_path: Path
) -> None:
    """Under `opentelemetry-instrument`: console and Prometheus are cumulative and explicit, OTLP as it was asked to."""
    port = free()
    settings = {
        "OTEL_METRICS_EXPORTER": "console,otlp,prometheus",
        "OTEL_TRACES_EXPORTER": "console,otlp",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_METRIC_EXPORT_INTERVAL": "300",
        "OTEL_EXPORTER_OTLP_ENDPOINT": otelcol.grpc,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": temporality,
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": HISTOGRAMS[histograms],
        "OTEL_EXPORTER_PROMETHEUS_HOST": HOST,
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
    }
    launcher = Path(sys.executable).with_name("opentelemetry-instrument")
    with App(tmp_path, "given", CALLS, TOKENS) as app:
        app.start([str(launcher)], settings)
        exposed = in_exposition(scraped(port))
        said = app.finish()
    assert "Traceback" not in said, said
    printed = documents(app.out)
    assert_true(exposed, app)
    assert_true(in_last(printed), app)
    assert_true(in_prometheus(Stored(prometheus, app.run_id), native=histograms == "exponential"), app)
    assert sum(document.get("name") == "chat tiny" for document in printed) == CALLS


@pytest.mark.parametrize("histograms", HISTOGRAMS)
@pytest.mark.parametrize("temporality", TEMPORALITIES)
def test_the_applications_own_console_exporter(temporality: str, histograms: str, tmp_path: Path) -> None:
    settings = {"OTEL_METRIC_EXPORT_INTERVAL": "200"}
    with App(tmp_path, f"console:{temporality}:{histograms}", CALLS, TOKENS) as app:
        app.start(env=settings)
        said = app.finish()
    assert "Traceback" not in said, said
    printed = documents(app.out)
    assert len(printed) > 2
    kinds = {"scale" in point for document in printed for _, point in points(document)}
    assert kinds == {histograms == "exponential"}
    assert_true(in_all(printed) if temporality == "delta" else in_last(printed), app)


def assert_true(totals: Totals, app: App) -> None:
    assert {name: totals[name][0] for name in COUNTS} == COUNTS
    for name, key in SUMS.items():
        assert totals[name][1] == pytest.approx(sum(app.measured[key]), rel=1e-9), name


# -- what each exporter says ---------------------------------------------------------------------------------------


def scraped(port: int) -> str:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        f"http://{HOST}:{port}/metrics", timeout=10
    ) as answer:
        text: str = answer.read().decode()
        return text


def in_exposition(text: str) -> Totals:
    """Count and sum of each histogram on the page that the Prometheus exporter serves."""
    return {name: (sample(text, name, "count"), sample(text, name, "sum")) for name in COUNTS}


def sample(text: str, name: str, what: str) -> float:
    found = re.findall(rf"^{name.replace('.', '_')}_seconds_{what}\{{.*\}} (\S+)$", text, re.MULTILINE)
    (value,) = found
    return float(value)


def documents(text: str) -> list[dict[str, Any]]:
    """The JSON documents that the console exporters printed one after the other."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while (at := len(text) - len(text[at:].lstrip())) < len(text):
        document, at = decoder.raw_decode(text, at)
        found.append(document)
    return found


def points(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The data points of the histograms in a printed document, with the names of their instruments."""
    for resource in document.get("resource_metrics", ()):
        for scope in resource["scope_metrics"]:
            for metric in scope["metrics"]:
                if metric["name"] in COUNTS:
                    yield from ((metric["name"], point) for point in metric["data"]["data_points"])


def in_all(printed: list[dict[str, Any]]) -> Totals:
    """Delta: everything printed, added up."""
    totals: Totals = defaultdict(lambda: (0.0, 0.0))
    for document in printed:
        for name, point in points(document):
            count, total = totals[name]
            totals[name] = (count + point["count"], total + point["sum"])
    return totals


def in_last(printed: list[dict[str, Any]]) -> Totals:
    """Cumulative: what was printed last holds everything."""
    return {name: (point["count"], point["sum"]) for document in printed for name, point in points(document)}


def in_prometheus(stored: Stored, *, native: bool) -> Totals:
    """What came through the Collector."""

    def asked(name: str, what: str) -> float:
        full = f"{name.replace('.', '_')}_seconds"
        series = f"histogram_{what}({stored.series(full)})" if native else stored.series(f"{full}_{what}")
        return stored.value(series)

    first = f"{next(iter(COUNTS)).replace('.', '_')}_seconds"
    whole = stored.series(first if native else f"{first}_count")
    counted = f"histogram_count({whole})" if native else whole
    until(lambda: stored.prometheus.query(f"{counted} >= {CALLS}"), ARRIVES_S)
    return {name: (asked(name, "count"), asked(name, "sum")) for name in COUNTS}
