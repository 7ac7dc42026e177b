"""The events of OpenAI's Responses, as the library gives them."""

from typing import Any, Final

from otel_llm.instrumentation.calls.answers import read_usage
from otel_llm.observation import StreamObservation
from otel_llm.record import OTHER, PADDING, REASONING, TEXT, TOOL

__all__ = ["kind_of_event", "of_response"]

_DELTAS: Final = {
    "response.output_text.delta": TEXT,
    "response.refusal.delta": TEXT,
    "response.reasoning_text.delta": REASONING,
    "response.reasoning_summary_text.delta": REASONING,
    "response.function_call_arguments.delta": TOOL,
    "response.custom_tool_call_input.delta": TOOL,
    "response.mcp_call_arguments.delta": TOOL,
    "response.code_interpreter_call_code.delta": TOOL,
}


def kind_of_event(event: Any, observation: StreamObservation) -> int:
    """Return the kind of an event; what its answer says about itself goes to `observation`."""
    kind = getattr(event, "type", None)
    kind = getattr(kind, "value", kind)  # litellm has members of an enum
    if kind in _DELTAS:
        return _DELTAS[kind] if getattr(event, "delta", None) else PADDING
    if kind == "response.output_item.added" and getattr(getattr(event, "item", None), "name", None):
        return TOOL
    if (response := getattr(event, "response", None)) is not None:
        of_response(response, observation)
        return OTHER if getattr(response, "usage", None) else PADDING
    return OTHER if kind == "error" else PADDING


def of_response(response: Any, observation: StreamObservation) -> None:
    """Take usage, model, id and the finish reason off an answer: its status, or why it is incomplete."""
    read_usage(response, observation)
    status = getattr(response, "status", None)
    if isinstance(status, str) and status not in ("in_progress", "queued"):
        why = getattr(getattr(response, "incomplete_details", None), "reason", None)
        observation.set(finish_reasons=(why or status,))
