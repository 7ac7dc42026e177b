"""Events of a server that no URL names: each is a chunk, and is read by the protocol that its shape belongs to.

For a parser file, which writes its requests itself and counts tokens itself: what is left is to tell text from what is
none. An event of no known shape is text as it stands.
"""

from collections.abc import Mapping
from typing import Any, Final

from otel_llm.record import OTHER, TEXT
from otel_llm.wire.discovery import load_protocol
from otel_llm.wire.liberal import load
from otel_llm.wire.protocol import Delta, Protocol
from otel_llm.wire.server_words import error_in

__all__ = ["AnyEvents"]

_SHAPES: Final = (
    ("output", dict, "dashscope"),
    ("choices", list, "openai_chat"),
    ("message", dict, "ollama_chat"),
    ("response", str, "ollama_generate"),
    ("token", dict, "tgi_generate"),
    ("generated_text", str, "tgi_generate"),
)
"""(member, its type, the protocol whose events have it)."""


class AnyEvents(Protocol):
    """Has no name, and encodes nothing. No finish reason is owed, as none was to `llmuses perf`."""

    finishes = False

    __slots__ = ("_inner",)

    def __init__(self) -> None:
        super().__init__()
        self._inner: Protocol | None = None

    def decode(self, event: bytes) -> Delta | None:
        if self._inner is None and event != b"[DONE]":
            name = _protocol_of(load(event))
            self._inner = None if name is None else load_protocol(name)()
        if self._inner is not None:
            delta = self._inner.decode(event)
            self.said, self.done = self._inner.said, self._inner.done
            return delta
        if event == b"[DONE]":
            self.done = True
            return None
        self.said.error = error_in(event)
        return (TEXT, event.decode("utf-8", "replace"), 0) if self.said.error is None else (OTHER, "", 0)


def _protocol_of(value: Any) -> str | None:
    """Return the name of the protocol whose events look so; None of an event of no known shape."""
    if not isinstance(value, Mapping):
        return None
    first = choices[0] if isinstance(choices := value.get("choices"), list) and choices else None
    if isinstance(first, Mapping) and "text" in first:
        return "openai_completions"
    return next((name for member, kind, name in _SHAPES if isinstance(value.get(member), kind)), None)
