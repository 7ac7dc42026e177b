"""Records as OpenTelemetry: one span each, and the histograms.

Two ways in. A library call has a span from its start (`opened`, then `finish`), a child of whatever is current. The
load generator hands in what has ended (`take`): spans are made afterwards under the ids that went out with the
request, and a batch feeds each histogram once per attribute set.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otel_llm import conventions
from otel_llm.clock import SYSTEM, Clock
from otel_llm.measures import Facts
from otel_llm.record import NESTED, StreamRecord
from otel_llm.sinks import Ended, spans
from otel_llm.sinks.bulk import Values
from otel_llm.sinks.feeds import FEEDS, Feed, attributes, likeness
from otel_llm.sinks.finished_spans import FinishedSpans
from otel_llm.sinks.instruments import Instruments, package_version, schema_url

__all__ = ["Call", "OTelSink"]

_log = logging.getLogger("otel_llm")


class Call:
    """A library call under way, as `opened` returns it.

    context: the one in which its span is current; attach it around the call, or inject headers from it
    """

    __slots__ = ("_counted", "_open", "context", "span", "start_ns", "start_unix_ns")

    def __init__(self, span: trace.Span, context: Context, start_ns: int, start_unix_ns: int, counted: Any) -> None:
        self.span, self.context, self._counted = span, context, counted
        self.start_ns, self.start_unix_ns = start_ns, start_unix_ns
        self._open = [True]


class OTelSink:
    """Spans and metrics of finished calls, into the given providers or the global ones.

    profiles: the generations of the convention to speak; from `OTEL_SEMCONV_STABILITY_OPT_IN` when None
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        profiles: Sequence[conventions.Profile] | None = None,
        *,
        clock: Clock = SYSTEM,
    ) -> None:
        self._profiles = tuple(profiles) if profiles else conventions.profiles()
        self._clock = clock
        self._feeds = tuple(f for f in FEEDS if conventions.instrument(f.instrument).names(self._profiles))
        self._broken = False
        self._instruments = Instruments(meter_provider, self._profiles)
        provider = tracer_provider or trace.get_tracer_provider()
        self._tracer = provider.get_tracer(conventions.SCOPE, package_version(), schema_url(self._profiles))
        self._sampler = getattr(provider, "sampler", None)
        self._finished = provider if isinstance(provider, FinishedSpans) else None
        self._scope = InstrumentationScope(conventions.SCOPE, package_version(), schema_url(self._profiles))

    # -- library calls -----------------------------------------------------------------------------------------

    def opened(self, head: Mapping[str, Any], start_ns: int) -> Call:
        """Start the span of a call, under the current context, and count the call as active.

        head: fields of `StreamRecord` that are known now; start_ns: monotonic
        """
        span: trace.Span = trace.INVALID_SPAN
        nested = False
        known: dict[str, Any] = {}
        start = 0
        try:
            known, start = spans.at_start(head), self._clock.wall_ns(start_ns)
            name, kind = spans.span_name(head), spans.kind(head)
            span = self._tracer.start_span(name, kind=kind, attributes=known, start_time=start)
            nested = NESTED in head.get("flags", ())  # in a call that is counted: a span, and nothing else
            if not nested:
                self._instruments.feed("active_requests", (1,), known)
        except Exception:
            self._failed()
        return Call(span, trace.set_span_in_context(span), start_ns, start, None if nested else known)

    def uncount(self, call: Call) -> None:
        """Let a call that is under way be a span and nothing else: others inside it are what is counted."""
        try:
            known, call._counted = call._counted, None
            if known is not None:
                self._instruments.feed("active_requests", (-1,), known)
        except Exception:
            self._failed()

    def finish(self, call: Call, record: StreamRecord) -> None:
        """End the span when its record ended, and record the metrics in its context. Only the first time counts."""
        try:
            call._open.pop()
        except IndexError:
            return
        try:
            (facts,) = Facts.of(record)
            self._describe(call.span, facts)
            if call._counted is not None:
                self._instruments.feed("active_requests", (-1,), call._counted)
                self._measure([facts], [call.context])
        except Exception:
            self._failed()
        # from the start of the span on, not from the clock's anchor of now: the wall clock may have been stepped
        call.span.end(call.start_unix_ns + record.ended_ns - call.start_ns)

    # -- finished records --------------------------------------------------------------------------------------

    def take(self, ended: Sequence[Ended]) -> None:
        """Make a span of each call and feed the metrics from all of them at once."""
        facts = [call.facts for call in ended]
        self._measure(facts, [self._span_of(fact) for fact in facts])

    def close(self, report: Mapping[str, Any] | None = None) -> None:
        """Nothing is held here: what was recorded is the providers' to export."""

    def feed(self, key: str, values: Values, attributes: Mapping[str, Any] | None = None) -> None:
        """Give values to an instrument by its key in `conventions` that no record feeds, such as `loop_lag`."""
        self._instruments.feed(key, values, attributes)

    def sampled(self, head: Mapping[str, Any], trace_id: str) -> bool:
        """Return whether the span of a record to come will be sampled, for the flag of its `traceparent`.

        head: fields of the coming `StreamRecord`; trace_id: 32 hexadecimal digits
        """
        if self._sampler is None:
            return True
        name, kind, known = spans.span_name(head), spans.kind(head), spans.at_start(head)
        decision = self._sampler.should_sample(Context(), int(trace_id, 16), name, kind, known).decision
        return bool(decision.is_sampled())

    def _span_of(self, facts: Facts) -> Context:
        """Make the span of a finished record; return the context in which it is current."""
        record = facts.record
        head, start = _head(record), self._clock.wall_ns(record.sent_ns)
        name, kind, known = spans.span_name(head), spans.kind(head), spans.at_start(head)
        end = start + record.ended_ns - record.sent_ns
        if self._finished is not None:
            ids, learnt, status = (
                (record.trace_id, record.span_id),
                spans.at_end(facts, self._profiles),
                spans.status(record),
            )
            made = self._finished.add(self._scope, name, kind, ids, (start, end), known, learnt, status)
            return trace.set_span_in_context(trace.NonRecordingSpan(made), Context())
        # the ids of others' spans cannot be chosen; under the one that was sent, it is at least in its trace
        above = spans.parent(record.trace_id, record.span_id)
        span = self._tracer.start_span(name, above, kind, known, start_time=start)
        self._describe(span, facts)
        span.end(end)
        return trace.set_span_in_context(span, Context())

    def _describe(self, span: trace.Span, facts: Facts) -> None:
        if span.is_recording():
            head = _head(facts.record)
            span.update_name(spans.span_name(head))  # the model may have been learnt on the way
            span.set_attributes({**spans.at_start(head), **spans.at_end(facts, self._profiles)})
            if (status := spans.status(facts.record)) is not None:
                span.set_status(status)

    def _measure(self, facts: Sequence[Facts], contexts: Sequence[Context]) -> None:
        """Feed every instrument from all records, once for those that are alike."""
        groups: dict[Any, tuple[list[Facts], list[Context]]] = {}
        for fact, context in zip(facts, contexts, strict=True):
            alike = groups.setdefault(likeness(fact.record), ([], []))
            alike[0].append(fact)
            alike[1].append(context)
        for alike in groups.values():
            record = alike[0][0].record
            for feed in self._feeds:
                if feed.takes(record):
                    self._feed(feed, *alike, attributes(record, feed))

    def _failed(self) -> None:
        if not self._broken:
            self._broken = True
            _log.warning("expected to record a call; further failures are not shown", exc_info=True)

    def _feed(
        self, feed: Feed, facts: Sequence[Facts], contexts: Sequence[Context], attributes: Mapping[str, Any]
    ) -> None:
        if len(facts) == 1:
            self._instruments.feed(feed.instrument, feed.values(facts[0]), attributes, contexts[0])
            return
        each = [feed.values(fact) for fact in facts]
        ends = np.cumsum([len(values) for values in each])
        if not ends[-1]:
            return
        # an array of each record's many, or a tuple of its one
        many = isinstance(each[0], np.ndarray)
        values = np.concatenate(each) if many else np.fromiter(chain.from_iterable(each), np.float64)
        worst = int(np.searchsorted(ends, np.argmax(values), side="right"))
        self._instruments.feed(feed.instrument, values, attributes, contexts[worst])


def _head(record: StreamRecord) -> dict[str, Any]:
    return {
        name: getattr(record, name)
        for name in ("operation", "provider", "model", "kind", "server_address", "server_port")
    }
