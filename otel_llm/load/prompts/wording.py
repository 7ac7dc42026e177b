"""The text of a request and of an answer, taken from what was sent and received."""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Final

from otel_llm.wire.protocol import Protocol

__all__ = ["answer_text_of", "messages_of", "prompt_text_of"]


def prompt_text_of(body: Mapping[str, Any]) -> str:
    """Return the text of a request body: its prompt, or the contents of its messages, wherever they are; "" for none.

    >>> prompt_text_of({"messages": [{"content": "Be brief."}, {"content": [{"type": "text", "text": " Why?"}]}]})
    'Be brief. Why?'
    """
    for name in ("response", "tokenized"):  # of the Realtime API, of an engine's gRPC
        if isinstance(inside := body.get(name), Mapping):
            return prompt_text_of(inside)
    return next((text for names in _ASKED if (text := "".join(_text_in(body.get(name)) for name in names))), "")


_ASKED: Final = (
    *(("prompt",), ("system", "messages"), ("inputs",), ("text_input",), ("systemInstruction", "contents")),
    *(("documents", "query"), ("input",), ("text",), ("original_text",)),
)
"""Where a body may hold what is asked, and what belongs together."""


def _text_in(value: Any) -> str:
    if isinstance(value, list):
        return "".join(map(_text_in, value))
    if isinstance(value, Mapping):
        if value.get("name") == "text_input":  # a tensor of KServe's
            return _text_in(value.get("data"))
        return "".join(_text_in(value.get(name)) for name in ("prompt", "messages", "content", "parts", "text"))
    return value if isinstance(value, str) else ""


def messages_of(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the messages of a request body of any protocol, of a batch those of all its conversations.

    A prompt is one message of the user's.
    """
    for name in ("input", "response"):
        if isinstance(inside := body.get(name), Mapping):
            return messages_of(inside)
    system = [{"role": "system", "content": text}] if isinstance(text := body.get("system"), str) else []
    for name in ("messages", "input"):
        if isinstance(found := body.get(name), list):
            return [*system, *chain.from_iterable(each if isinstance(each, list) else [each] for each in found)]
    return [*system, {"role": "user", "content": prompt_text_of(body)}]


def answer_text_of(protocol: type[Protocol], events: Iterable[str]) -> str:
    """Return the text of an answer, with reasoning and tool calls. Raises ValueError for an event it cannot decode."""
    answer = protocol()
    return "".join(delta[1] for event in events if (delta := answer.decode(event.encode())) is not None)
