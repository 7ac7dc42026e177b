"""Records as OpenTelemetry: one span each, and the metrics.

Two ways in. A library call has a span from its start (`start`, then `finish`), a child of whatever is current. The
load generator hands in what has ended (`take`): spans are made afterwards under the ids that went out with the
request, and a batch feeds each instrument once per attribute set.

A span never holds what was asked or answered: a record does not have it, and the message of an error, which may quote
it, stays out.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from opentelemetry import trace
from opentelemetry.context import Context, get_current
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from otel_llm import conventions as names
from otel_llm import measures
from otel_llm.clock import SYSTEM, Clock
from otel_llm.measures import Facts
from otel_llm.percentiles import IN_SPAN, percentile_name
from otel_llm.record import NESTED, NOT_STREAMED, StreamRecord
from otel_llm.sinks import Ended
from otel_llm.sinks.bulk import Values
from otel_llm.sinks.finished_spans import FinishedSpans
from otel_llm.sinks.metrics import EndedCall, Metrics

__all__ = ["OTelSink", "OpenSpan", "described"]

_log = logging.getLogger("otel_llm")
_NONE: Final[Mapping[str, Any]] = {}
_ITL_PERCENTILES: Final = {q: names.ITL + percentile_name(q) for q in IN_SPAN}
_KNOWN_AT_START: Final = ("operation", "provider", "model", "server_address", "server_port", "attributes")
_known_of: Final = attrgetter(*_KNOWN_AT_START)


class OpenSpan:
    """The span of a library call under way, and the context in which it is current, as `start` returns them."""

    __slots__ = ("_active", "_known", "_name", "_open", "context", "span", "start_ns", "start_unix_ns")

    def __init__(
        self,
        span: trace.Span,
        context: Context,
        start_ns: int,
        start_unix_ns: int = 0,
        name: str = "",
        known: Mapping[str, Any] = _NONE,
        active: set[object] | None = None,
    ) -> None:
        """name, known: of the span; active: the calls that it is one of, None for a mere span"""
        self.span, self.context = span, context
        self._name, self._known, self._active = name, known, active
        self.start_ns, self.start_unix_ns = start_ns, start_unix_ns
        self._open = [True]
        if active is not None:
            active.add(self)


class OTelSink:
    """Spans and metrics of calls, into the given providers or the global ones.

    profiles: the generations of the convention to speak; from `OTEL_SEMCONV_STABILITY_OPT_IN` when None
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        profiles: Sequence[names.Profile] | None = None,
        *,
        clock: Clock = SYSTEM,
    ) -> None:
        self._profiles = tuple(profiles) if profiles else names.profiles()
        self._clock = clock
        self._broken = False
        provider = tracer_provider or trace.get_tracer_provider()
        scope = names.SCOPE, _package_version(), _schema_url(self._profiles)
        self._scope = InstrumentationScope(*scope)
        self._tracer = provider.get_tracer(*scope)
        self._finished = provider if isinstance(provider, FinishedSpans) else None
        self._metrics = Metrics(meter_provider, self._profiles, *scope[1:], self._failed)

    @classmethod
    def prepared(cls) -> "OTelSink":
        """Return a sink into the global providers whose instruments are made, so that no call waits for that."""
        sink = cls()
        sink._metrics.prepare()
        return sink

    # -- library calls -----------------------------------------------------------------------------------------

    def start(self, head: Mapping[str, Any], start_ns: int, around: Context | None = None) -> OpenSpan:
        """Start the span of a call, and count the call as active.

        head: fields of `StreamRecord` that are known now; start_ns: monotonic; around: the current context when None
        """
        around = get_current() if around is None else around
        counts = NESTED not in head.get("flags", ())  # else in a call that is counted: a span, and nothing else
        if not self._traces() and not self._metrics.heard():
            return OpenSpan(_stand_in_for(around), around, start_ns, active=set() if counts else None)
        span: trace.Span = trace.INVALID_SPAN
        name, known, start, context = "", _NONE, 0, around
        active: set[object] | None = None
        try:
            name, known = _opening(*map(head.get, _KNOWN_AT_START))
            start = self._clock.wall_ns(start_ns)
            if counts:
                active = self._metrics.active(known)  # first: whatever comes of the span, the call is under way
            kind = _span_kind(head.get("kind"))
            span = self._tracer.start_span(name, around, kind, known, start_time=start)
            if span.get_span_context().is_valid:
                context = trace.set_span_in_context(span, around)
        except Exception:
            self._failed()
        return OpenSpan(span, context, start_ns, start, name, known, active)

    def uncount(self, opened: OpenSpan) -> None:
        """Let a call that is under way be a span and nothing else: others inside it are what is counted."""
        active, opened._active = opened._active, None
        if active is not None:
            active.discard(opened)

    def finish(self, opened: OpenSpan, record: StreamRecord) -> None:
        """End the span when its call ended, and record the metrics in its context. Only the first time counts."""
        try:
            opened._open.pop()
        except IndexError:
            return
        counts = opened._active is not None and self._metrics.heard()
        self.uncount(opened)
        # from the start of the span on, not from the clock's anchor of now: the wall clock may have been stepped
        ended_unix_ns = opened.start_unix_ns + record.ended_ns - opened.start_ns
        try:
            if counts or opened.span.is_recording():
                (facts,) = Facts.of(record)
                if counts:
                    self._metrics.record_soon(EndedCall(facts, opened.span.get_span_context(), ended_unix_ns))
                self._describe(opened.span, facts, opened._name, opened._known)
        except Exception:
            self._failed()
        opened.span.end(ended_unix_ns)

    def _traces(self) -> bool:
        """Return whether spans are made. Without an SDK none are, until one is set up."""
        tracer: Any = self._tracer
        return type(tracer._tracer if type(tracer) is trace.ProxyTracer else tracer) is not trace.NoOpTracer

    # -- calls that have ended ---------------------------------------------------------------------------------

    def take(self, ended: Sequence[Ended]) -> None:
        """Make a span of each call and feed the metrics from all of them at once."""
        facts = [call.facts for call in ended]
        self._metrics.record(facts, [self._make_span(fact) for fact in facts])

    def close(self, report: Mapping[str, Any] | None = None) -> None:
        """Nothing is held here: what was recorded is the providers' to export."""

    def feed(self, key: str, values: Values, attributes: Mapping[str, Any] | None = None) -> None:
        """Give values to an instrument by its key in `conventions` that no record feeds, such as `loop_lag`."""
        self._metrics.feed(key, values, attributes)

    def _make_span(self, facts: Facts) -> Context:
        """Make the span of a finished record; return the context in which it is current."""
        record = facts.record
        start, kind = self._clock.wall_ns(record.sent_ns), _span_kind(record.kind)
        name, known = _opening(*_known_of(record))
        end = start + record.ended_ns - record.sent_ns
        if self._finished is not None:
            ids, learnt = (record.trace_id, record.span_id), _attributes_at_end(facts, self._profiles)
            made = self._finished.add(self._scope, name, kind, ids, (start, end), known, learnt, _span_status(record))
            return trace.set_span_in_context(trace.NonRecordingSpan(made), Context())
        # the ids of others' spans cannot be chosen; under the one that was sent, it is at least in its trace
        above = _parent_context(record.trace_id, record.span_id)
        span = self._tracer.start_span(name, above, kind, known, start_time=start)
        self._describe(span, facts, name, known)
        span.end(end)
        return trace.set_span_in_context(span, Context())

    def _describe(self, span: trace.Span, facts: Facts, name: str, known: Mapping[str, Any]) -> None:
        """Tell a span what was learnt on the way; `name` and `known` it has from its start."""
        if span.is_recording():
            found = _attributes_at_end(facts, self._profiles)
            learnt, asked = _opening(*_known_of(facts.record))
            if asked is not known:
                found = {**{key: value for key, value in asked.items() if known.get(key) is not value}, **found}
                if learnt != name:
                    span.update_name(learnt)
            span.set_attributes(found)
            if (status := _span_status(facts.record)) is not None:
                span.set_status(status)

    def _failed(self) -> None:
        if not self._broken:
            self._broken = True
            _log.warning("could not record a call; further failures are not logged", exc_info=True)


@lru_cache
def _package_version() -> str:
    """Return the version of otel_llm that telemetry is marked with; empty when it was never installed."""
    try:
        return version("otel-llm")
    except PackageNotFoundError:  # pragma: no cover  # run from a bare checkout
        return ""


def _schema_url(profiles: tuple[names.Profile, ...]) -> str | None:
    """Return the schema that all names follow. None when two generations are mixed or the schema has no address."""
    return names.SCHEMA_URL[profiles[0]] if len(profiles) == 1 else None


def _stand_in_for(around: Context) -> trace.Span:
    """Return what a tracer that makes no spans returns: the context of the span around, so that its trace goes on."""
    span = trace.get_current_span(around)
    return span if span is trace.INVALID_SPAN else trace.NonRecordingSpan(span.get_span_context())


# -- a record as a span --------------------------------------------------------------------------------------------


def described(facts: Facts) -> tuple[str, str, dict[str, Any], bool]:
    """Return what the span of a call that ended is made of: its name, kind and attributes, and whether it failed."""
    record = facts.record
    name, asked = _opening(*_known_of(record))
    attributes = {**asked, **_attributes_at_end(facts, names.profiles())}
    return name, _span_kind(record.kind).name, attributes, _span_status(record) is not None


def _opening(
    operation: str | None,
    provider: str | None,
    model: str | None,
    address: str | None,
    port: int | None,
    attributes: Mapping[str, Any] | None,
) -> tuple[str, Mapping[str, Any]]:
    """Return the name of a call's span, and the attributes that a sampler may decide by, from what is known by then."""
    agent = attributes.get(names.AGENT_NAME) if attributes and operation == names.INVOKE_AGENT else None
    asked = operation or "chat", provider or names.UNKNOWN_PROVIDER, model
    return _opening_once(*asked, address, port if address else None, agent)


@lru_cache(4096)
def _opening_once(
    operation: str, provider: str, model: str | None, address: str | None, port: int | None, agent: str | None
) -> tuple[str, Mapping[str, Any]]:
    """Return both, made once for all calls that have this in common."""
    found = {
        names.OPERATION_NAME: operation,
        names.PROVIDER_NAME: provider,
        names.REQUEST_MODEL: model,
        names.SERVER_ADDRESS: address,
        names.SERVER_PORT: port,
    }
    whose = agent or model
    name = f"{operation} {whose}" if whose else operation
    return name, MappingProxyType({name: value for name, value in found.items() if value is not None})


def _span_kind(kind: str | None) -> SpanKind:
    """Return CLIENT for an endpoint that is called, INTERNAL for a model in this process."""
    return SpanKind.CLIENT if kind == "client" else SpanKind.INTERNAL


def _span_status(record: StreamRecord) -> Status | None:
    """Return ERROR for a call that failed. None otherwise: who closes, leaves or cancels a stream made no error."""
    return Status(StatusCode.ERROR) if record.outcome == "error" else None


def _parent_context(trace_id: str | None, span_id: str | None) -> Context:
    """Return a context in which that sampled span is current; an empty one when an id is missing."""
    if not trace_id or not span_id:
        return Context()
    sent = SpanContext(int(trace_id, 16), int(span_id, 16), False, TraceFlags(TraceFlags.SAMPLED))
    return trace.set_span_in_context(trace.NonRecordingSpan(sent), Context())


def _attributes_at_end(facts: Facts, profiles: tuple[names.Profile, ...]) -> dict[str, Any]:
    """Return the attributes that are known when a call has ended. Times are seconds."""
    record = facts.record
    billed = record.token_source != "chunks"
    found = {
        **record.attributes,
        **_parameters(record.parameters, profiles),
        names.RESPONSE_ID: record.response_id,
        names.RESPONSE_MODEL: record.response_model,
        names.RESPONSE_FINISH_REASONS: _finish_reasons(record, profiles),
        names.USAGE_INPUT_TOKENS: record.input_tokens,
        names.USAGE_OUTPUT_TOKENS: record.output_tokens if billed else None,
        names.COUNTED_TOKENS: None if billed else record.output_tokens,
        names.USAGE_CACHE_READ_INPUT_TOKENS: record.cached_tokens,
        **{names.USAGE_CACHE_WRITE_INPUT_TOKENS[profile]: record.cache_written_tokens for profile in profiles},
        names.USAGE_REASONING_OUTPUT_TOKENS: record.reasoning_tokens,
        names.HTTP_STATUS: record.status,
        names.ERROR_TYPE: record.error_type or ("_OTHER" if record.outcome == "error" else None),
        names.STREAM_OUTCOME: record.outcome,
        names.TOKEN_SOURCE: record.token_source,
        names.RECORD_FLAGS: record.flags or None,
        names.QUEUE_DELAY: measures.queue_delay(record),
        names.CONNECT_TIME: measures.connect_time(record),
        names.REQUEST_INDEX: record.index,
        names.CONVERSATION_ID: record.conversation_id,
        names.CONVERSATION_TURN: record.turn,
    }
    if record.stream:
        found[names.REQUEST_STREAM] = True if NOT_STREAMED not in record.flags else None
        found[names.RESPONSE_TIME_TO_FIRST_CHUNK] = facts.time_to_first_chunk
        found[names.TIME_TO_FIRST_TOKEN] = facts.time_to_first_token
        found[names.TPOT] = facts.time_per_output_token
    if record.server is not None:
        found |= {name: getattr(record.server, part) for part, name in names.SERVER_SAID.items()}
    if len(facts.inter_token_latencies):
        ordered = np.sort(facts.inter_token_latencies)
        found |= {name: measures.percentile(ordered, q) for q, name in _ITL_PERCENTILES.items()}
        found[names.ITL_MAX] = facts.max_inter_token_latency
    return {name: value for name, value in found.items() if value is not None}


def _parameters(given: Mapping[str, Any], profiles: tuple[names.Profile, ...]) -> Mapping[str, Any]:
    """Return the parameters of a request as these generations have them: top_k was a double, and is an integer now."""
    if names.LATEST not in profiles:
        given = {name: value for name, value in given.items() if name not in names.NEW_IN_LATEST}
    if (top_k := given.get(names.REQUEST_TOP_K)) is None:
        return given
    return {**given, names.REQUEST_TOP_K: int(top_k) if names.LATEST in profiles else float(top_k)}


def _finish_reasons(record: StreamRecord, profiles: tuple[names.Profile, ...]) -> tuple[str, ...] | None:
    """Of a stream that ended before its last event the newer convention wants to read "error"."""
    if not record.finish_reasons and record.stream and record.outcome != "complete" and names.LATEST in profiles:
        return ("error",)
    return record.finish_reasons or None
