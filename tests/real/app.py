"""An application with a model in it, as a user would write one, which the tests run as a process.

app.py FILE SETUP CALLS TOKENS PAUSE_MS, where SETUP is who sets up OpenTelemetry: `given` (whoever started it),
`configure` (our one line) or `console:delta:explicit` and the like (the application itself, with the SDK alone).
It writes what its calls measured to FILE, and ends when its standard input does.
"""

import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import otel_llm

PAUSE = random.Random(1)


@otel_llm.metrics(model="tiny", provider="tests")
def answer(tokens: int, pause_s: float) -> Iterator[str]:
    """Tokens at an uneven pace."""
    for number in range(tokens):
        time.sleep(pause_s * PAUSE.lognormvariate(0, 0.5))
        yield f"token {number}"


def set_up(how: str) -> None:
    if how == "configure":
        otel_llm.configure(service_name="app")
    elif how != "given":
        console(*how.split(":")[1:])


def console(temporality: str, histograms: str) -> None:
    """As the SDK's documentation does it."""
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import Histogram, MeterProvider
    from opentelemetry.sdk.metrics.export import (
        AggregationTemporality,
        ConsoleMetricExporter,
        PeriodicExportingMetricReader,
    )
    from opentelemetry.sdk.metrics.view import (
        ExplicitBucketHistogramAggregation,
        ExponentialBucketHistogramAggregation,
    )

    kinds = {"explicit": ExplicitBucketHistogramAggregation, "exponential": ExponentialBucketHistogramAggregation}
    exporter = ConsoleMetricExporter(
        preferred_temporality={Histogram: AggregationTemporality[temporality.upper()]},
        preferred_aggregation={Histogram: kinds[histograms]()},
    )
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(exporter)]))


def main(file: str, setup: str, calls: str, tokens: str, pause_ms: str) -> None:
    set_up(setup)
    first, gaps = [], []
    for _ in range(int(calls)):
        for _token in answer(int(tokens), float(pause_ms) / 1e3):
            pass
        measured = answer.last_metrics
        assert measured is not None
        first.append(measured.time_to_first_token)
        gaps.extend(measured.inter_token_latencies)
    making = Path(file).with_suffix(".making")
    making.write_text(json.dumps({"ttft": first, "itl": gaps}))
    making.rename(file)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
