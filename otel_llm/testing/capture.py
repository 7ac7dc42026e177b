"""Testing one's own instrumentation: the calls that were measured, in a list, and nothing sent anywhere.

with otel_llm.testing.capture() as calls:
    my_model.run("hello")
assert calls[0].metrics.output_tokens == 3
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context

from otel_llm.clock import SYSTEM, Clock
from otel_llm.generation import GenerationMetrics
from otel_llm.instrumentation.calls.destination import DESTINATION
from otel_llm.record import UNCOUNTED, StreamRecord
from otel_llm.sinks import Ended, Fanout, Sink

__all__ = ["CapturedCall", "CapturingSink", "capture"]


class CapturedCall(NamedTuple):
    """A call that was measured. counted: False for one that has a span and feeds no metrics (`nested`, `cached`)."""

    record: StreamRecord
    metrics: GenerationMetrics
    counted: bool


class CapturingSink:
    """A sink that keeps the record of every call it is given."""

    def __init__(self) -> None:
        self.records: list[StreamRecord] = []
        self.closes = 0

    def take(self, ended: Sequence[Ended]) -> None:
        self.records.extend(call.record for call in ended)

    def close(self, report: Mapping[str, Any] | None = None) -> None:
        self.closes += 1


class _NoSpan:
    """What stands for the span of a call that is captured."""

    span = trace.INVALID_SPAN

    def __init__(self, context: Context) -> None:
        self.context = context


class _Captured:
    """Where calls go inside `capture`: into a list, and to other sinks."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self.calls: list[CapturedCall] = []
        self._sinks = Fanout(*sinks)

    def start(self, head: Mapping[str, Any], start_ns: int, around: Context) -> _NoSpan:
        return _NoSpan(around)

    def uncount(self, opened: _NoSpan) -> None:
        """Do nothing: the record says that it is not counted."""

    def finish(self, opened: _NoSpan, record: StreamRecord) -> None:
        self.calls.append(CapturedCall(record, GenerationMetrics.of(record), not UNCOUNTED.intersection(record.flags)))
        self._sinks.take(Ended.of(record))


@contextmanager
def capture(*sinks: Sink, clock: Clock = SYSTEM) -> Iterator[list[CapturedCall]]:
    """Give the calls that end inside a `with` block, of all threads and tasks, in the order in which they end.

    They reach no provider: no span is made and no metric fed. Blocks may lie inside each other; the innermost captures.

    sinks: are given the calls as well, such as one of yours that is to be tested
    clock: stamps the calls, such as a `FakeClock` that the test moves
    """
    captured = _Captured(sinks)
    with DESTINATION.replaced(captured, clock):
        yield captured.calls
