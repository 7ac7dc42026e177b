"""Ollama's own chat protocol: one JSON object a line, the last of them marked `done`.

Source: the API reference of Ollama, read in 2026. Calls of tools arrive whole. An error inside an answer is a line
with `error` alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from otel_llm.record import OTHER
from otel_llm.wire.liberal import read
from otel_llm.wire.openai_json import error_of
from otel_llm.wire.protocol import NOTHING, Ask, Delta, Media, Protocol, WireRequest, json_body, reasoning, text, tool
from otel_llm.wire.server_timings import timings_in

__all__ = ["OllamaChat"]

_TOP = frozenset(("format", "keep_alive", "logprobs", "options", "stream", "think", "tools", "top_logprobs"))
"""Parameters that belong beside `messages`; all others are `options` of the model, such as `temperature`."""


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: msgspec.Raw = msgspec.Raw()


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Line(msgspec.Struct, gc=False):
    model: str | None = None
    message: _Message | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    load_duration: float | None = None
    prompt_eval_duration: float | None = None
    eval_duration: float | None = None
    total_duration: float | None = None
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Line).decode


class OllamaChat(Protocol):
    """`POST …/api/chat`. The whole answer of `"stream": false` is one such line."""

    name = "ollama_chat"
    paths = ("/api/chat",)
    versions = (("/api/version", "version"),)
    media = ("image",)
    framing = "ndjson"
    accept = "application/x-ndjson"
    conversations = True

    __slots__ = ()

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        top = {key: value for key, value in ask.parameters.items() if key in _TOP}
        options = {key: value for key, value in ask.parameters.items() if key not in _TOP and value is not None}
        body: dict[str, Any] = {"model": ask.model, "messages": list(ask.messages), "stream": ask.stream}
        if options:
            top["options"] = {**(top.get("options") or {}), **options}
        return WireRequest(json_body(body, top))

    @classmethod
    def with_media(cls, text: str, media: Sequence[Media]) -> Mapping[str, Any]:
        return {"images": [each.data for each in media]}

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return {"num_predict": tokens}

    def decode(self, event: bytes) -> Delta | None:
        said = self.said
        try:
            line = _decode(event)
        except ValueError:
            line = read(event, _Line, said)
        if line.error:
            said.error = error_of(line.error)
            return OTHER, "", 0
        said.response_model = line.model or said.response_model
        delta = _content(line.message) if line.message else NOTHING
        if not line.done:
            return delta
        self.done = True
        said.finish(line.done_reason or "stop")  # before 0.1.38 Ollama said no more than `done`
        said.input_tokens, said.output_tokens = line.prompt_eval_count, line.eval_count
        said.server = timings_in(line)
        return delta if delta[1] else (OTHER, "", 0)


def _content(message: _Message) -> Delta:
    if message.content:
        return text(message.content)
    if message.thinking:
        return reasoning(message.thinking)
    calls = [call.function for call in message.tool_calls or () if call.function]
    return tool("".join((call.name or "") + bytes(call.arguments).decode() for call in calls))
