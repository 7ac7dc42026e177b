"""Conversations of `mistralai`, in which a model or an agent of the server's answers: what their answers say."""

from typing import Any

from otel_llm.instrumentation.calls.answers import member, read_usage
from otel_llm.instrumentation.calls.hooks import MeasuredCall
from otel_llm.observation import StreamObservation
from otel_llm.record import OTHER, PADDING, REASONING, TEXT, TOOL

__all__ = ["kind_of_content", "kind_of_event", "result"]


def kind_of_event(event: Any, observation: StreamObservation) -> int:
    """Return the kind of an event of a stream; what its answer says about itself goes to `observation`."""
    data = event.data
    match getattr(data, "type", None):
        case "conversation.response.started":
            observation.set(conversation_id=data.conversation_id)
        case "conversation.response.done":
            read_usage(data, observation)
            return OTHER
        case "message.output.delta":
            read_usage(data, observation)  # its model
            return kind_of_content(data.content)
        case "function.call.delta":
            return TOOL
    return PADDING


def kind_of_content(content: Any) -> int:
    """Return the kind of what a delta brings: text, or parts of it, or thoughts."""
    parts = content if isinstance(content, list) else [content]
    if any((isinstance(part, str) and part) or member(part, "text") for part in parts):
        return TEXT
    return REASONING if any(member(part, "thinking") for part in parts) else PADDING


def result(call: MeasuredCall, answer: Any) -> None:
    """Take what a whole answer says about itself: its usage, and the model of what was said."""
    if call.observation is None:
        return
    call.observation.set(conversation_id=answer.conversation_id)
    for entry in (*answer.outputs, answer):
        read_usage(entry, call.observation)
