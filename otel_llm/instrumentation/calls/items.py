"""What an item of a stream is: a token, padding, or the bill.

A string is what it says. Objects and dicts of the well-known shapes (OpenAI's chunks and whatever copies them) are
read for their content and usage; any other non-empty item is one token.
"""

from typing import Any, Final

from otel_llm.instrumentation.calls import usage
from otel_llm.instrumentation.calls.usage import member
from otel_llm.observation import StreamObservation
from otel_llm.record import OTHER, PADDING, REASONING, TEXT, TOOL

__all__ = ["kind_of", "text_of"]

_EMPTY: Final = (str, bytes, bytearray, list, tuple, dict, set, frozenset)
_PLAIN: Final = frozenset((str, bytes, bytearray, list, tuple, set, frozenset, int, float, bool))
_DELTA: Final = (
    ("content", TEXT),
    ("reasoning_content", REASONING),
    ("reasoning", REASONING),
    ("refusal", TEXT),
    ("tool_calls", TOOL),
    ("function_call", TOOL),
)


def kind_of(item: Any, observation: StreamObservation | None = None) -> int:
    """Return the kind of an item; what it says of the answer (usage, model, finish reason) goes to `observation`."""
    if item is None:
        return PADDING
    if item.__class__ in _PLAIN:
        return PADDING if isinstance(item, _EMPTY) and not item else TEXT
    if observation is not None:
        usage.of_object(item, observation)
    choices = member(item, "choices")
    if isinstance(choices, list | tuple):
        return _kind_of_choices(choices) if choices else OTHER
    if choices is None and hasattr(item, "choices"):
        return OTHER
    for name in ("content", "text", "response"):
        words = member(item, name)
        if isinstance(words, str):
            return TEXT if words else PADDING
    return PADDING if isinstance(item, _EMPTY) and not item else TEXT


def _kind_of_choices(choices: "list[Any] | tuple[Any, ...]") -> int:
    kind = PADDING
    for choice in choices:
        if member(choice, "text"):
            return TEXT
        delta = member(choice, "delta") or member(choice, "message")
        brought = next((kind for name, kind in _DELTA if delta is not None and member(delta, name)), PADDING)
        kind = brought if TEXT in (kind, brought) and brought == TEXT else kind or brought
    return kind


def text_of(item: Any) -> str:
    """Return the text that an item or a result holds, "" when it holds none."""
    if isinstance(item, str):
        return item
    if isinstance(item, list | tuple) and all(isinstance(part, str) for part in item):
        return "".join(item)
    for choice in member(item, "choices") or ():
        message = member(choice, "delta") or member(choice, "message")
        words = member(choice, "text") or (message is not None and member(message, "content"))
        return words if isinstance(words, str) else ""
    words = member(item, "content") or member(item, "text")
    return words if isinstance(words, str) else ""
