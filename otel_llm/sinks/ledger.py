"""Export that can be accounted for: recorded = exported + dropped, for spans and for metric points.

The SDK's batch processor drops spans of a full queue with a line in a log. Here the queue is bounded as well, but each
span is counted in and out, so that a report can say that telemetry is complete, or by how much it is not.
"""

import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_llm.clock import now_ns
from otel_llm.sinks.refusals import Refusals

__all__ = ["CountedMetricExporter", "CountedSpanProcessor", "Ledger", "Tally"]

_log = logging.getLogger("otel_llm")
_GRACE_S: Final = 1.0
"""How long an exporter may take to stop."""


@dataclass(slots=True, weakref_slot=True)
class Tally:
    """How many items were recorded, exported and dropped. `pending` is 0 once everything is shut down."""

    recorded: int = 0
    exported: int = 0
    dropped: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def pending(self) -> int:
        """How many are neither exported nor dropped yet."""
        return self.recorded - self.exported - self.dropped

    def reset(self) -> None:
        """Start from nothing, in a forked child: what was counted is the parent's, and so is a lock that it held."""
        self.recorded = self.exported = self.dropped = 0
        self._lock = threading.Lock()

    def add(self, *, recorded: int = 0, exported: int = 0, dropped: int = 0) -> None:
        """Count; from any thread."""
        with self._lock:
            self.recorded += recorded
            self.exported += exported
            self.dropped += dropped


@dataclass(slots=True)
class Ledger:
    """spans: sampled spans that ended; points: data points of metrics, counted each time they are collected."""

    spans: Tally = field(default_factory=Tally)
    points: Tally = field(default_factory=Tally)


def _reset_in_children(tally: Tally) -> None:
    if hasattr(os, "register_at_fork"):
        reset = weakref.WeakMethod(tally.reset)
        os.register_at_fork(after_in_child=lambda: (again := reset()) and again())


class CountedMetricExporter(MetricExporter):
    """Counts what it passes on to another exporter, whose preferences it takes over."""

    def __init__(self, inner: MetricExporter, tally: Tally) -> None:
        super().__init__(inner._preferred_temporality, inner._preferred_aggregation)
        self._inner, self._tally, self._refusals = inner, tally, Refusals(inner, "data points")
        self._under_way, self._changed = 0, threading.Condition()
        _reset_in_children(tally)

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        points = sum(
            len(metric.data.data_points)
            for resource in metrics_data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        )
        self._tally.add(recorded=points)
        self._under_way = points  # the reader exports one batch at a time
        result = MetricExportResult.FAILURE
        try:
            result = self._inner.export(metrics_data, timeout_millis=timeout_millis, **kwargs)
        finally:
            with self._changed:
                settled, self._under_way = self._under_way, 0  # 0 when `shutdown` has given them up already
                refused = self._refusals.take(settled)
                arrived = settled - refused if result is MetricExportResult.SUCCESS else 0
                self._tally.add(exported=arrived, dropped=settled - arrived)
                self._changed.notify_all()
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return self._inner.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self._inner.shutdown(timeout_millis, **kwargs)
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way, _GRACE_S)
            self._tally.add(dropped=self._under_way)
            self._under_way = 0


class CountedSpanProcessor(SpanProcessor):
    """Exports spans in batches from a thread of its own; `on_end` appends to a queue and never waits.

    queue: spans held at most, more are dropped; batch: spans per export; delay_s: how long one waits for a full batch
    """

    def __init__(
        self, exporter: SpanExporter, tally: Tally, *, queue: int = 65_536, batch: int = 512, delay_s: float = 5.0
    ) -> None:
        self._exporter, self._tally, self._refusals = exporter, tally, Refusals(exporter, "spans")
        self._limit, self._batch, self._delay_s = max(queue, 1), max(min(batch, queue), 1), delay_s
        self._start()
        _reset_in_children(tally)
        if hasattr(os, "register_at_fork"):
            again = weakref.WeakMethod(self._start)  # a forked child has no thread, and its parent exports the queue
            os.register_at_fork(after_in_child=lambda: (start := again()) and start())

    def _start(self) -> None:
        self._queue: deque[ReadableSpan] = deque()
        self._under_way = 0
        self._hurry = self._stopped = self._warned = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="otel_llm-spans", daemon=True)
        self._thread.start()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing is done before the end."""

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is None or not span.context.trace_flags.sampled:
            return
        with self._changed:
            kept = not self._stopped and len(self._queue) < self._limit
            if kept:
                self._queue.append(span)
                if len(self._queue) >= self._batch:
                    self._changed.notify_all()
            self._tally.add(recorded=1, dropped=not kept)
        if not kept and not self._warned:
            self._warned = True
            _log.warning("dropped a span: %d wait to be exported already; further drops are not logged", self._limit)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what is queued. Returns False when that took longer than the time given."""
        with self._changed:
            self._hurry = bool(self._queue)
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._queue and not self._under_way, timeout_millis / 1e3)

    def shutdown(self, timeout_s: float = 30.0) -> None:
        """Export what is queued, within `timeout_s`; what is left then is dropped, and counted so."""
        with self._changed:
            if self._stopped:
                return
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        self._exporter.shutdown()
        self._thread.join(_GRACE_S)
        with self._changed:
            self._tally.add(dropped=len(self._queue) + self._under_way)
            self._queue.clear()
            self._under_way = 0

    # -- the exporting thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        while batch := self._next():
            result = SpanExportResult.FAILURE
            try:
                with suppress_instrumentation():
                    result = self._exporter.export(batch)
            except Exception:
                _log.warning("could not export %d spans", len(batch), exc_info=True)
            with self._changed:
                settled, self._under_way = self._under_way, 0  # 0 when `shutdown` has given them up already
                refused = self._refusals.take(settled)
                arrived = settled - refused if result is SpanExportResult.SUCCESS else 0
                self._tally.add(exported=arrived, dropped=settled - arrived)
                self._changed.notify_all()

    def _next(self) -> Sequence[ReadableSpan]:
        """Wait for a batch and return it; an empty one when there will be no more."""
        with self._changed:
            due = now_ns() + int(self._delay_s * 1e9)
            while not self._queue or not (len(self._queue) >= self._batch or self._hurry or self._stopped):
                if self._stopped:
                    return ()
                left = (due - now_ns()) / 1e9
                if left <= 0:
                    if self._queue:
                        break
                    due = now_ns() + int(self._delay_s * 1e9)
                    left = self._delay_s
                self._changed.wait(left)
            batch = [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
            self._under_way = len(batch)
            self._hurry = self._hurry and bool(self._queue)
            return batch
