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
from otel_llm.sinks.metrics import Metrics

__all__ = ["OTelSink", "OpenSpan", "described"]

_log = logging.getLogger("otel_llm")
_NONE: Final[Mapping[str, Any]] = {}
_ITL_PERCENTILES: Final = {q: names.ITL + percentile_name(q) for q in IN_SPAN}
_KNOWN_AT_START: Final = ("operation", "provider", "model", "kind", "server_address", "server_port", "attributes")


class OpenSpan:
    """The span of a library call under way, as `start` returns it."""

    __slots__ = ("_around", "_counted", "_known", "_name", "_open", "span", "start_ns", "start_unix_ns")

    def __init__(
        self,
        span: trace.Span,
        start_ns: int,
        start_unix_ns: int = 0,
        name: str = "",
        known: Mapping[str, Any] = _NONE,
        counted: Mapping[str, Any] | None = _NONE,
    ) -> None:
        """name, known: of the span; counted: under which attributes it counts as active, None for a mere span"""
        self.span, self._around = span, get_current()
        self._name, self._known, self._counted = name, known, counted
        self.start_ns, self.start_unix_ns = start_ns, start_unix_ns
        self._open = [True]


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
        self._metrics = Metrics(meter_provider, self._profiles, *scope[1:])

    @classmethod
    def prepared(cls) -> "OTelSink":
        """Return a sink into the global providers whose instruments are made, so that no call waits for that."""
        sink = cls()
        sink._metrics.prepare()
        return sink

    # -- library calls -----------------------------------------------------------------------------------------

    def start(self, head: Mapping[str, Any], start_ns: int) -> OpenSpan:
        """Start the span of a call, under the current context, and count the call as active.

        head: fields of `StreamRecord` that are known now; start_ns: monotonic
        """
        counts = NESTED not in head.get("flags", ())  # else in a call that is counted: a span, and nothing else
        if not self._traces() and not self._metrics.heard():
            return OpenSpan(_stand_in_for_current_span(), start_ns, counted=_NONE if counts else None)
        span: trace.Span = trace.INVALID_SPAN
        name, known, start = _span_name(head), _NONE, 0
        counted: Mapping[str, Any] | None = None
        try:
            known, start = _attributes_at_start(head), self._clock.wall_ns(start_ns)
            if counts:
                self._metrics.feed("active_requests", (1,), known)
                counted = known  # from here on, whatever comes of the span: it is to be counted down again
            span = self._tracer.start_span(name, kind=_span_kind(head), attributes=known, start_time=start)
        except Exception:
            self._failed()
        return OpenSpan(span, start_ns, start, name, known, counted)

    def uncount(self, opened: OpenSpan) -> None:
        """Let a call that is under way be a span and nothing else: others inside it are what is counted."""
        try:
            known, opened._counted = opened._counted, None
            if known:
                self._metrics.feed("active_requests", (-1,), known)
        except Exception:
            self._failed()

    def finish(self, opened: OpenSpan, record: StreamRecord) -> None:
        """End the span when its call ended, and record the metrics in its context. Only the first time counts."""
        try:
            opened._open.pop()
        except IndexError:
            return
        try:
            if opened._counted:
                self._metrics.feed("active_requests", (-1,), opened._counted)
            counts = opened._counted is not None and self._metrics.heard()
            if counts or opened.span.is_recording():
                (facts,) = Facts.of(record)
                if counts:
                    self._metrics.record([facts], [trace.set_span_in_context(opened.span, opened._around)])
                self._describe(opened.span, facts, opened._name, opened._known)
        except Exception:
            self._failed()
        # from the start of the span on, not from the clock's anchor of now: the wall clock may have been stepped
        opened.span.end(opened.start_unix_ns + record.ended_ns - opened.start_ns)

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
        head, start = _head(record), self._clock.wall_ns(record.sent_ns)
        name, kind, known = _span_name(head), _span_kind(head), _attributes_at_start(head)
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
            head = _head(facts.record)
            if (learnt := _span_name(head)) != name:
                span.update_name(learnt)
            found = {**_attributes_at_start(head), **_attributes_at_end(facts, self._profiles)}
            span.set_attributes({key: value for key, value in found.items() if known.get(key) is not value})
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


def _stand_in_for_current_span() -> trace.Span:
    """Return what a tracer that makes no spans returns: the current span's context, so that its trace goes on."""
    span = trace.get_current_span()
    return span if span is trace.INVALID_SPAN else trace.NonRecordingSpan(span.get_span_context())


# -- a record as a span --------------------------------------------------------------------------------------------


def described(facts: Facts) -> tuple[str, str, dict[str, Any], bool]:
    """Return what the span of a call that ended is made of: its name, kind and attributes, and whether it failed."""
    head = _head(facts.record)
    attributes = {**_attributes_at_start(head), **_attributes_at_end(facts, names.profiles())}
    return _span_name(head), _span_kind(head).name, attributes, _span_status(facts.record) is not None


def _head(record: StreamRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in _KNOWN_AT_START}


def _span_name(head: Mapping[str, Any]) -> str:
    """Return `{operation} {model}`, of an agent's run with the agent's name; or the operation alone."""
    operation = head.get("operation") or "chat"
    if operation == names.INVOKE_AGENT and (agent := head.get("attributes", {}).get(names.AGENT_NAME)):
        return f"{operation} {agent}"
    return f"{operation} {head['model']}" if head.get("model") else str(operation)


def _span_kind(head: Mapping[str, Any]) -> SpanKind:
    """Return CLIENT for an endpoint that is called, INTERNAL for a model in this process."""
    return SpanKind.CLIENT if head.get("kind") == "client" else SpanKind.INTERNAL


def _span_status(record: StreamRecord) -> Status | None:
    """Return ERROR for a call that failed. None otherwise: who closes, leaves or cancels a stream made no error."""
    return Status(StatusCode.ERROR) if record.outcome == "error" else None


def _parent_context(trace_id: str | None, span_id: str | None) -> Context:
    """Return a context in which that sampled span is current; an empty one when an id is missing."""
    if not trace_id or not span_id:
        return Context()
    sent = SpanContext(int(trace_id, 16), int(span_id, 16), False, TraceFlags(TraceFlags.SAMPLED))
    return trace.set_span_in_context(trace.NonRecordingSpan(sent), Context())


def _attributes_at_start(head: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that a sampler may decide by, of a call that is about to start."""
    found = {
        names.OPERATION_NAME: head.get("operation") or "chat",
        names.PROVIDER_NAME: head.get("provider") or names.UNKNOWN_PROVIDER,
        names.REQUEST_MODEL: head.get("model"),
        names.SERVER_ADDRESS: head.get("server_address"),
        names.SERVER_PORT: head.get("server_port") if head.get("server_address") else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _attributes_at_end(facts: Facts, profiles: tuple[names.Profile, ...]) -> dict[str, Any]:
    """Return the attributes that are known when a call has ended. Times are seconds."""
    record = facts.record
    billed = record.token_source != "chunks"
    found = {
        **record.attributes,
        **_parameters(record.parameters, profiles),
        names.REQUEST_STREAM: True if record.stream and NOT_STREAMED not in record.flags else None,
        names.RESPONSE_ID: record.response_id,
        names.RESPONSE_MODEL: record.response_model,
        names.RESPONSE_FINISH_REASONS: _finish_reasons(record, profiles),
        names.RESPONSE_TIME_TO_FIRST_CHUNK: facts.time_to_first_chunk,
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
        names.TIME_TO_FIRST_TOKEN: facts.time_to_first_token,
        names.TPOT: facts.time_per_output_token,
        names.QUEUE_DELAY: measures.queue_delay(record),
        names.CONNECT_TIME: measures.connect_time(record),
        names.REQUEST_INDEX: record.index,
        names.CONVERSATION_ID: record.conversation_id,
        names.CONVERSATION_TURN: record.turn,
    }
    if record.server is not None:
        found |= {name: getattr(record.server, part) for part, name in names.SERVER_SAID.items()}
    if len(facts.inter_token_latencies):
        ordered = np.sort(facts.inter_token_latencies).tolist()
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
