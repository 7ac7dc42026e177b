"""What a span says of a call of a model, whoever made the span: this package, another instrumentation, an engine."""

from collections.abc import Mapping
from typing import Any, Final

from otel_llm import conventions as names
from otel_llm.receiver.decode import ReceivedSpan
from otel_llm.record import UNCOUNTED
from otel_llm.view.calls import CLIENT, OTHER, SERVER, Call, Group

__all__ = ["call_of", "group_of", "run_of"]

_MODEL: Final = (names.REQUEST_MODEL, names.RESPONSE_MODEL)
_FIRST: Final = (names.TIME_TO_FIRST_TOKEN, names.RESPONSE_TIME_TO_FIRST_CHUNK, names.ENGINE_TIME_TO_FIRST_TOKEN)
_QUEUE: Final = (names.ENGINE_TIME_IN_QUEUE, names.SERVER_SAID["queue"])
_TOKENS: Final = (names.USAGE_OUTPUT_TOKENS, names.COUNTED_TOKENS, names.EARLIER_OUTPUT_TOKENS)
_OF_A_MODEL: Final = (*_MODEL, names.PROVIDER_NAME, names.EARLIER_PROVIDER_NAME, names.ENGINE_TIME_TO_FIRST_TOKEN)
_CUT_OFF: Final = ("closed_early", "abandoned", "cancelled")
_LONGEST: Final = 200
"""Characters of a name that is shown in lists."""


def call_of(span: ReceivedSpan) -> Call | None:
    """Return the call that a span is of. None for a span inside a trace that is of no model's call.

    A server's span that names no model, and the first span of a trace, are calls that are `seen_by` OTHER.
    """
    said = span.attributes
    operation = said.get(names.OPERATION_NAME)
    of_a_model = operation not in names.NOT_OF_A_MODEL and any(name in said for name in _OF_A_MODEL)
    if of_a_model and UNCOUNTED.intersection(_words(said.get(names.RECORD_FLAGS))):
        return None  # counted by the call around it
    if not of_a_model and span.kind != "SERVER" and span.parent_span_id:
        return None
    group = group_of(said, span.resource, SERVER if span.kind == "SERVER" else CLIENT)
    if not of_a_model:
        group = Group("", group.service, span.name[:_LONGEST], OTHER, group.run)
    return Call(
        group,
        span.start_unix_ns,
        max(span.end_unix_ns - span.start_unix_ns, 0) / 1e9,
        _number(said, _FIRST),
        _number(said, (names.TPOT,)),
        _number(said, _QUEUE),
        _number(said, _TOKENS),
        span.trace_id,
        _error(span),
        said.get(names.STREAM_OUTCOME) in _CUT_OFF,
    )


def group_of(said: Mapping[str, Any], resource: Mapping[str, Any], seen_by: str) -> Group:
    """Return the group of a call, or of a metric's stream, by its attributes and those of its resource."""
    named = next((said[name] for name in _MODEL if said.get(name)), "")
    doing = said.get(names.OPERATION_NAME) or ""
    texts = (named, resource.get(names.SERVICE_NAME) or "", doing if doing != "chat" else "")
    model, service, operation = (str(text)[:_LONGEST] for text in texts)
    return Group(model, service, operation, seen_by, run_of(resource))


def run_of(resource: Mapping[str, Any]) -> str:
    """Return the id of the load run that a resource names; empty for none."""
    return str(resource.get(names.RUN_ID) or "")


def _error(span: ReceivedSpan) -> str:
    kind = span.attributes.get(names.ERROR_TYPE)
    if kind:
        return str(kind)[:_LONGEST]
    return "error" if span.status == "ERROR" else ""


def _number(said: Mapping[str, Any], wanted: tuple[str, ...]) -> float | None:
    for name in wanted:
        value = said.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def _words(value: Any) -> tuple[str, ...]:
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, tuple | list) else ()
