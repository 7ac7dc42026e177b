"""Known values as OTLP metrics, as an instrumented app or a load run would send them."""

import contextlib
from collections.abc import Iterator, Mapping

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, UpDownCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from tools.services import Collector

DELTA = dict.fromkeys((Counter, Histogram), AggregationTemporality.DELTA) | {
    UpDownCounter: AggregationTemporality.CUMULATIVE
}


@contextlib.contextmanager
def sending(
    collector: Collector,
    service: str,
    resource: Mapping[str, str] | None = None,
    *,
    every_s: float = 600,
    exponential: bool = True,
    delta: bool = False,
) -> Iterator[tuple[Meter, MeterProvider]]:
    """A meter whose values reach the Collector every so often and at the end."""
    exporter = OTLPMetricExporter(
        endpoint=f"{collector.http}/v1/metrics", preferred_temporality=DELTA if delta else None
    )
    view = View(instrument_type=Histogram, aggregation=ExponentialBucketHistogramAggregation())
    provider = MeterProvider(
        metric_readers=[PeriodicExportingMetricReader(exporter, export_interval_millis=every_s * 1000)],
        resource=Resource.create({"service.name": service, **(resource or {})}),
        views=[view] if exponential else [],
    )
    try:
        yield provider.get_meter("tests"), provider
    finally:
        provider.shutdown()
