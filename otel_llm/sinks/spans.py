"""A record as a span: its name, its attributes, and where it belongs.

Never what was asked or answered: a record does not hold it, and the message of an error, which may quote it, stays out.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from otel_llm import conventions as names
from otel_llm import measures
from otel_llm.measures import Facts
from otel_llm.percentiles import percentile
from otel_llm.record import NOT_STREAMED, StreamRecord

__all__ = ["at_end", "at_start", "kind", "parent", "span_name", "status"]


def span_name(head: Mapping[str, Any]) -> str:
    """Return `{operation} {model}`, or the operation alone."""
    operation = head.get("operation") or "chat"
    return f"{operation} {head['model']}" if head.get("model") else str(operation)


def kind(head: Mapping[str, Any]) -> SpanKind:
    """Return CLIENT for an endpoint that is called, INTERNAL for a model in this process."""
    return SpanKind.CLIENT if head.get("kind") == "client" else SpanKind.INTERNAL


def at_start(head: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that a sampler may decide by, of a call that is about to start."""
    found = {
        names.OPERATION_NAME: head.get("operation") or "chat",
        names.PROVIDER_NAME: head.get("provider") or names.UNKNOWN_PROVIDER,
        names.REQUEST_MODEL: head.get("model"),
        names.SERVER_ADDRESS: head.get("server_address"),
        names.SERVER_PORT: head.get("server_port") if head.get("server_address") else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def at_end(facts: Facts, profiles: tuple[names.Profile, ...]) -> dict[str, Any]:
    """Return the attributes that are known when a call has ended. Times are seconds."""
    record = facts.record
    billed = record.token_source != "chunks"
    found = {
        **record.attributes,
        **record.parameters,
        names.REQUEST_STREAM: True if record.stream and NOT_STREAMED not in record.flags else None,
        names.RESPONSE_ID: record.response_id,
        names.RESPONSE_MODEL: record.response_model,
        names.RESPONSE_FINISH_REASONS: _finish_reasons(record, profiles),
        names.RESPONSE_TIME_TO_FIRST_CHUNK: facts.time_to_first_chunk,
        names.USAGE_INPUT_TOKENS: record.input_tokens,
        names.USAGE_OUTPUT_TOKENS: record.output_tokens if billed else None,
        names.COUNTED_TOKENS: None if billed else record.output_tokens,
        names.USAGE_CACHE_READ_INPUT_TOKENS: record.cached_tokens,
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
    }
    if len(facts.inter_token_latencies):
        ordered = np.sort(facts.inter_token_latencies).tolist()
        found |= {name: percentile(ordered, q) for q, name in names.ITL_PERCENTILES.items()}
        found[names.ITL_MAX] = facts.max_inter_token_latency
    return {name: value for name, value in found.items() if value is not None}


def _finish_reasons(record: StreamRecord, profiles: tuple[names.Profile, ...]) -> tuple[str, ...] | None:
    """Of a stream that ended before its last event the newer convention wants to read "error"."""
    if not record.finish_reasons and record.stream and not record.ok and names.LATEST in profiles:
        return ("error",)
    return record.finish_reasons or None


def status(record: StreamRecord) -> Status | None:
    """Return ERROR for a call that failed. None otherwise: who closes, leaves or cancels a stream made no error."""
    return Status(StatusCode.ERROR) if record.outcome == "error" else None


def parent(trace_id: str | None, span_id: str | None) -> Context:
    """Return a context in which that sampled span is current; an empty one when an id is missing."""
    if not trace_id or not span_id:
        return Context()
    sent = SpanContext(int(trace_id, 16), int(span_id, 16), False, TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(sent), Context())
