"""The text of a request and of an answer, taken from what was sent and received."""

from collections.abc import Iterable, Mapping
from typing import Any

from otel_llm.wire.protocol import Protocol

__all__ = ["answer_text_of", "prompt_text_of"]


def prompt_text_of(body: Mapping[str, Any]) -> str:
    """Return the text of a request body: its prompt, or the contents of its messages, wherever they are."""
    if isinstance(inside := body.get("input"), Mapping):
        return prompt_text_of(inside)
    for name in ("prompt", "input", "inputs"):
        if isinstance(text := body.get(name), str):
            return text
    messages = body.get("messages") or body.get("input") or ()
    return "".join(text for message in messages if isinstance(text := message.get("content"), str))


def answer_text_of(protocol: type[Protocol], events: Iterable[str]) -> str:
    """Return the text of an answer, with reasoning and tool calls. Raises ValueError for an event it cannot decode."""
    answer = protocol()
    return "".join(delta[1] for event in events if (delta := answer.decode(event.encode())) is not None)
