"""The text that an item of a stream, or a whole answer, holds: of the shapes that client libraries give.

It is read for content alone, and only where somebody asked for that: measuring needs no text.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from otel_llm.instrumentation.calls.answers import event_of_responses, member, read_json

__all__ = ["text_of"]

_TEXTS: Final = (
    *("content", "text", "response", "generated_text", "output_text"),
    *("generation", "outputText", "completion"),  # of Bedrock's models
)
_INSIDE: Final = (
    "data",
    "delta",
    "contentBlockDelta",
    "message",
    "content",
    "token",
    "output",
    "outputs",
    "results",
    "body",
)
"""Where what holds the text may be: events of Mistral, Anthropic, Bedrock and Cohere, answers of Ollama and others."""
_SPOKEN: Final = ("response.output_text.delta", "response.refusal.delta")
_DEEPEST: Final = 5


def text_of(item: Any, depth: int = 0) -> str:
    """Return the text that an item or a result holds, "" when it holds none. What was thought is no part of it."""
    if isinstance(item, str):
        return item
    if item is None or isinstance(item, bytes | int | float) or depth > _DEEPEST or _is_thought(item):
        return ""
    if isinstance(item, list | tuple):
        return "".join(text_of(part, depth + 1) for part in item)
    if (event := event_of_responses(item)) is not None:
        return str(member(item, "delta") or "") if event in _SPOKEN else ""
    if isinstance(chunk := member(item, "chunk"), Mapping):  # Bedrock's, of what its models say themselves
        return text_of(read_json(chunk.get("bytes")), depth + 1)
    for choice in _list(item, "choices"):  # OpenAI's: the first, where several were asked for
        words = member(choice, "text") or text_of(member(choice, "delta") or member(choice, "message"), depth + 1)
        return words if isinstance(words, str) else ""
    for candidate in _list(item, "candidates"):  # Google's
        return text_of(member(member(candidate, "content"), "parts"), depth + 1)
    for name in _TEXTS:
        if isinstance(words := member(item, name), str):
            return words
    for name in _INSIDE:
        if (inside := member(item, name)) is not None:
            return text_of(inside, depth + 1)
    return ""


def _list(item: Any, name: str) -> Iterable[Any]:
    found = member(item, name)
    return found if isinstance(found, list | tuple) else ()


def _is_thought(item: Any) -> bool:
    kind = str(member(item, "type") or "")
    return bool(member(item, "thought")) or (
        not isinstance(item, Mapping | list | tuple) and ("thinking" in kind or "reasoning" in kind)
    )
