"""Spans are exported or counted as dropped, whatever the exporter does."""

import os
import subprocess
import sys
import threading

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from otel_llm.sinks.ledger import CountedSpanProcessor, Tally


class Gate(SpanExporter):
    """An exporter that waits until it is let go, or told to stop."""

    def __init__(self, result=SpanExportResult.SUCCESS):
        self.open, self.entered, self.result, self.batches = threading.Event(), threading.Event(), result, []

    def export(self, spans):
        self.entered.set()
        self.open.wait()
        if isinstance(self.result, Exception):
            raise self.result
        self.batches.append(len(spans))
        return self.result

    def shutdown(self):
        self.open.set()


def traced(exporter, **limits):
    tally = Tally()
    processor = CountedSpanProcessor(exporter, tally, **limits)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return provider.get_tracer("t"), processor, tally


def counts(tally):
    return tally.recorded, tally.exported, tally.dropped


def test_spans_go_out_in_batches():
    gate = Gate()
    gate.open.set()
    tracer, processor, tally = traced(gate, batch=4, delay_s=3600)
    for _ in range(10):
        tracer.start_span("s").end()
    processor.shutdown()
    assert counts(tally) == (10, 10, 0)
    assert sum(gate.batches) == 10
    assert max(gate.batches) <= 4


def test_a_span_waits_no_longer_than_the_delay():
    gate = Gate()
    tracer, processor, _ = traced(gate, delay_s=0.01)
    tracer.start_span("s").end()
    assert gate.entered.wait(10)
    gate.open.set()
    processor.shutdown()


def test_a_full_queue_drops_and_says_so_once_and_never_waits(caplog):
    gate = Gate()
    tracer, processor, tally = traced(gate, queue=3, batch=1)
    tracer.start_span("s").end()
    assert gate.entered.wait(10)  # one is under way, and stays so
    for _ in range(10):
        tracer.start_span("s").end()
    assert counts(tally) == (11, 0, 7)
    assert tally.pending == 4
    gate.open.set()
    processor.shutdown()
    assert counts(tally) == (11, 4, 7)
    assert [record.getMessage() for record in caplog.records if record.name == "otel_llm"] == [
        "dropped a span: 3 wait to be exported already; further drops are not logged"
    ]


@pytest.mark.parametrize("result", [SpanExportResult.FAILURE, RuntimeError("no route")], ids=["failure", "exception"])
def test_what_the_exporter_cannot_deliver_is_dropped(result, caplog):
    gate = Gate(result)
    gate.open.set()
    tracer, processor, tally = traced(gate)
    tracer.start_span("s").end()
    processor.shutdown()
    assert counts(tally) == (1, 0, 1)
    assert caplog.messages == (["could not export 1 spans"] if isinstance(result, Exception) else [])


def test_shutdown_takes_the_time_given_and_counts_what_is_left():
    class Stuck(Gate):
        def shutdown(self):
            """Does not stop."""

    gate = Stuck()
    tracer, processor, tally = traced(gate, batch=2)
    for _ in range(5):
        tracer.start_span("s").end()
    assert gate.entered.wait(10)
    processor.shutdown(timeout_s=0.01)
    assert (tally.recorded, tally.dropped, tally.pending) == (5, 5, 0)
    gate.open.set()  # too late: what was given up is not counted a second time
    processor._thread.join(10)
    assert counts(tally) == (5, 0, 5)
    tracer.start_span("s").end()
    assert counts(tally) == (6, 0, 6)


def test_flushing_waits_for_what_is_under_way_but_not_for_ever():
    gate = Gate()
    tracer, processor, tally = traced(gate, delay_s=3600)
    assert processor.force_flush(10)
    tracer.start_span("s").end()
    assert not processor.force_flush(10)
    gate.open.set()
    assert processor.force_flush(10_000)
    assert counts(tally) == (1, 1, 0)
    processor.shutdown()


def test_an_unsampled_span_is_not_recorded():
    tally = Tally()
    processor = CountedSpanProcessor(Gate(), tally)
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    provider.get_tracer("t").start_span("s").end()
    processor.shutdown()
    assert counts(tally) == (0, 0, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_exports_its_own_spans_and_not_its_parents():
    code = """
import os, sys
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from otel_llm.sinks.ledger import CountedSpanProcessor, Tally

class Printed(SpanExporter):
    def export(self, spans):
        os.write(1, b"".join(b"%s " % span.name.encode() for span in spans))
        return SpanExportResult.SUCCESS
    def shutdown(self): pass

processor = CountedSpanProcessor(Printed(), Tally(), delay_s=3600)
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(processor)
tracer = provider.get_tracer("t")
tracer.start_span("parent").end()
pid = os.fork()
if pid == 0:
    tracer.start_span("child").end()
    processor.shutdown()
    os._exit(0)
os.waitpid(pid, 0)
processor.shutdown()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "child parent ", done.stderr
