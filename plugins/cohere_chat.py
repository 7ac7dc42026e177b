"""Cohere's chat, version 2: typed events that open, grow and close a message, with the bill at its end.

Source: the reference of the v2 API and of its Python client, read in 2026. A plan that goes before a call of tools is
reasoning. `usage.tokens` are the tokens that the model saw and made; `billed_units` leave out what Cohere does not
charge for, so they stand in only where there is nothing else.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from otel_llm.record import OTHER, REASONING, TEXT, TOOL
from otel_llm.wire.openai_json import arguments_of, read_or_end
from otel_llm.wire.protocol import NOTHING, Ask, Delta, Protocol, WireRequest, json_body

__all__ = ["CohereChat"]


class _Part(msgspec.Struct, gc=False):
    text: str | None = None
    thinking: str | None = None


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function | None = None


class _Message(msgspec.Struct, gc=False):
    """The message of a whole answer, or what an event adds to it: then content and call are single."""

    content: _Part | list[_Part] | None = None
    tool_plan: str | None = None
    tool_calls: _ToolCall | list[_ToolCall] | None = None


class _Units(msgspec.Struct, gc=False):
    input_tokens: float | None = None
    output_tokens: float | None = None


class _Usage(msgspec.Struct, gc=False):
    tokens: _Units | None = None
    billed_units: _Units | None = None
    cached_tokens: float | None = None


class _Delta(msgspec.Struct, gc=False):
    message: _Message | None = None
    finish_reason: str | None = None
    usage: _Usage | None = None
    error: str | None = None


class _Event(msgspec.Struct, gc=False):
    type: str | None = None
    id: str | None = None
    delta: _Delta | None = None
    message: _Message | str | None = None
    finish_reason: str | None = None
    usage: _Usage | None = None


_decode = msgspec.json.Decoder(_Event).decode


class CohereChat(Protocol):
    """`POST …/v2/chat`."""

    name = "cohere_chat"
    paths = ("/v2/chat",)
    provider = "cohere"
    repeats = True

    conversations = True

    __slots__ = ()

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        body = {"model": ask.model, "messages": list(ask.messages), "stream": ask.stream}
        return WireRequest(json_body(body, ask.parameters))

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return {"max_tokens": tokens}

    def decode(self, event: bytes) -> Delta | None:
        try:
            chunk = _decode(event)
        except ValueError:
            if (found := read_or_end(event, _Event, self)) is None:
                return None
            chunk = found
        said, delta = self.said, chunk.delta
        said.response_id = chunk.id or said.response_id
        if chunk.type is None:
            return self._whole(chunk)
        if delta is None:
            return NOTHING
        if chunk.type == "message-end":
            self._end(delta.finish_reason, delta.usage, delta.error)
            return OTHER, "", 0
        if chunk.type == "message-start" or delta.message is None:
            return NOTHING
        return next(((kind, words, 0) for kind, words in _words(delta.message).items() if words), NOTHING)

    def _whole(self, answer: _Event) -> Delta:
        if not isinstance(answer.message, _Message):
            self.said.error = "error", answer.message or "the answer has no message"
            return OTHER, "", 0
        self._end(answer.finish_reason, answer.usage, None)
        found = _words(answer.message)
        return next(((kind, words, 0) for kind, words in found.items() if words), (OTHER, "", 0))

    def _end(self, reason: str | None, usage: _Usage | None, error: str | None) -> None:
        said = self.said
        if units := usage and (usage.tokens or usage.billed_units):
            said.input_tokens, said.output_tokens = _count(units.input_tokens), _count(units.output_tokens)
        if usage:
            said.cached_tokens = _count(usage.cached_tokens)
        if reason in ("ERROR", "TIMEOUT"):
            said.error = reason, error or "the answer ended so"
        elif reason:
            said.finish(reason)


def _words(message: _Message) -> dict[int, str]:
    """Return what a message, or a piece of one, has of each kind: text says more than a call, a call than a plan."""
    parts = message.content if isinstance(message.content, list) else [message.content] if message.content else []
    calls = message.tool_calls if isinstance(message.tool_calls, list) else [message.tool_calls]
    functions = [call.function for call in calls if call and call.function]
    return {
        TEXT: "".join(part.text or "" for part in parts),
        TOOL: "".join((function.name or "") + arguments_of(function.arguments) for function in functions),
        REASONING: "".join(part.thinking or "" for part in parts) + (message.tool_plan or ""),
    }


def _count(number: float | None) -> int | None:
    """Return a count, which the API writes as 9 or as 9.0."""
    return None if number is None else int(number)
