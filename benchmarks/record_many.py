"""What recording many values costs: `python benchmarks/record_many.py`.

CPU nanoseconds per value, the best of several repeats, six attributes, exemplars off: a loop of the SDK's `record`,
and `record_many` with the same values.
"""

import random
import timeit
from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Any

import numpy as np
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import (
    Aggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)

from otel_llm.conventions import FINE_SECONDS
from otel_llm.sinks.bulk import record_many

ATTRIBUTES: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "vllm",
    "gen_ai.request.model": "m",
    "gen_ai.response.model": "m-1",
    "server.address": "127.0.0.1",
    "server.port": 8000,
}


def histogram(aggregation: Aggregation | None) -> Any:
    provider = MeterProvider(
        [InMemoryMetricReader()],
        exemplar_filter=AlwaysOffExemplarFilter(),
        views=[View(instrument_type=Histogram, aggregation=aggregation)],
    )
    return provider.get_meter("bench").create_histogram("h", explicit_bucket_boundaries_advisory=FINE_SECONDS)


def nanoseconds(work: Callable[[], object], values: int) -> float:
    times = max(1, 4000 // values)
    work()
    return min(timeit.repeat(work, number=times, repeat=9, timer=process_time)) / times / values * 1e9


def _record_each(histogram: Histogram, values: list[float]) -> None:
    for value in values:
        histogram.record(value, ATTRIBUTES)


def main() -> None:
    rng = random.Random(1)
    print(f"{'aggregation':12} {'values':>6} {'loop ns':>9} {'record_many ns':>15} {'times':>7}")
    for name, make in (
        ("explicit", ExplicitBucketHistogramAggregation),
        ("exponential", ExponentialBucketHistogramAggregation),
    ):
        for count in (1, 10, 50, 200, 1000):
            gaps = [rng.lognormvariate(-4, 0.6) for _ in range(count)]
            array = np.array(gaps)
            one, many = histogram(make()), histogram(make())
            loop = nanoseconds(partial(_record_each, one, gaps), count)
            bulk = nanoseconds(partial(record_many, many, array, ATTRIBUTES), count)
            print(f"{name:12} {count:6d} {loop:9.0f} {bulk:15.0f} {loop / bulk:7.0f}", flush=True)


if __name__ == "__main__":
    main()
