"""A call that was never made, told to providers that nobody reads: what a process does once is then done.

The first call of a process would pay for it otherwise: the version of this package looked up, the merge of values
compared with the SDK's own way for each kind of histogram, attributes hashed, bytecode run cold. Some milliseconds,
which are a false latency where one measured call is made inside another.
"""

from array import array
from collections.abc import Callable
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otel_llm.clock import now_ns
from otel_llm.instrumentation.calls.destination import CallSink
from otel_llm.record import TEXT, Chunks, StreamRecord

__all__ = ["rehearse"]

_CHUNKS: Final = 8
"""More than are recorded one by one."""


def rehearse(make_sink: Callable[[TracerProvider, MeterProvider], CallSink]) -> None:
    """Tell a sink of a made-up streamed call, with explicit and with exponential histograms behind it."""
    nobody = Resource.get_empty()
    readers = [
        InMemoryMetricReader(preferred_aggregation={Histogram: kind})
        for kind in (ExplicitBucketHistogramAggregation(), ExponentialBucketHistogramAggregation())
    ]
    meters = MeterProvider(readers, resource=nobody, shutdown_on_exit=False)
    sink = make_sink(TracerProvider(resource=nobody, shutdown_on_exit=False), meters)
    record = _made_up(now_ns())
    sink.finish(sink.start({"model": record.model}, record.sent_ns, Context()), record)
    meters.shutdown()


def _made_up(sent_ns: int) -> StreamRecord:
    arrivals = [sent_ns + 1_000 * number for number in range(1, _CHUNKS + 1)]
    chunks = Chunks(
        at_ns=array("q", arrivals),
        read=array("I", range(1, _CHUNKS + 1)),
        kind=array("B", [TEXT] * _CHUNKS),
        size=array("I", [0] * _CHUNKS),
        tokens=array("I", [1] * _CHUNKS),
    )
    return StreamRecord(
        model="rehearsal",
        stream=True,
        sent_ns=sent_ns,
        ended_ns=arrivals[-1],
        chunks=chunks,
        token_source="provider",  # noqa: S106  # no password
        input_tokens=1,
        output_tokens=_CHUNKS,
        cached_tokens=0,
        cache_written_tokens=0,
        reasoning_tokens=0,
    )
