"""Anthropic messages: blocks that start, grow by deltas and stop, in events that name their `type`.

Source: the reference of the Messages API and of its streaming, read in 2026. A `ping` is a sign of life like an SSE
comment and is no chunk. The output tokens of `message_start` count the opening only, so the total is taken from
`message_delta`: a stream that breaks off before it has no total.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from otel_llm.record import OTHER, REASONING, TEXT, TOOL
from otel_llm.wire.liberal import read
from otel_llm.wire.openai_json import VERSIONS, error_of
from otel_llm.wire.protocol import NOTHING, Ask, Delta, Media, Protocol, WireRequest, json_body, reasoning, text, tool

__all__ = ["AnthropicMessages"]

MAX_TOKENS = 1024
"""What is asked for when `max_tokens` is not given: the API refuses a request without it."""


class _Details(msgspec.Struct, gc=False):
    thinking_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: _Details | None = None


class _Block(msgspec.Struct, gc=False):
    """A block of content, or a delta of one (which may carry the stop reason instead)."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()
    partial_json: str | None = None
    stop_reason: str | None = None


class _Message(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    content: list[_Block] = []
    stop_reason: str | None = None
    usage: _Usage | None = None


class _Event(_Message, gc=False):
    type: str | None = None
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Block | None = None
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Event).decode


class AnthropicMessages(Protocol):
    """`POST …/messages`. System messages travel in `system`, as the API wants them.

    `input_tokens` are all tokens of the prompt: the API bills those read from and written to its cache apart.
    """

    name = "anthropic_messages"
    paths = ("/v1/messages", "/messages")
    versions = VERSIONS
    media = ("image",)
    provider = "anthropic"
    repeats = True
    authorization = "x-api-key: {}"
    conversations = True

    __slots__ = ()

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        messages = [message for message in ask.messages if message.get("role") != "system"]
        body: dict[str, Any] = {
            "model": ask.model,
            "messages": messages,
            "max_tokens": MAX_TOKENS,
            "stream": ask.stream,
        }
        if system := _system(ask):
            body["system"] = system
        return WireRequest(json_body(body, ask.parameters), {"anthropic-version": "2023-06-01"})

    @classmethod
    def with_media(cls, text: str, media: Sequence[Media]) -> Mapping[str, Any]:
        shown = [
            {"type": "image", "source": {"type": "base64", "media_type": each.media_type, "data": each.data}}
            for each in media
        ]
        return {"content": [{"type": "text", "text": text}, *shown]}

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return {"max_tokens": tokens}

    def decode(self, event: bytes) -> Delta | None:
        try:
            chunk = _decode(event)
        except ValueError:
            chunk = read(event, _Event, self.said)
        match chunk.type:
            case "content_block_delta":
                return _content(chunk.delta) if chunk.delta else NOTHING
            case "content_block_start":
                return _content(chunk.content_block) if chunk.content_block else NOTHING
            case "ping":
                return None
            case "message_stop":
                self.done = True
                return None
            case "message_start" if chunk.message:
                self._take(chunk.message)
                self.said.output_tokens = None
                return NOTHING
            case "message_delta":
                self._take(chunk)
                if chunk.delta and chunk.delta.stop_reason:
                    self.said.finish(chunk.delta.stop_reason)
                return OTHER, "", 0
            case "message":
                return self._whole(chunk)
        if chunk.error:
            self.said.error = error_of(chunk.error)
            return OTHER, "", 0
        return NOTHING

    def _take(self, message: _Message) -> None:
        """Note what the answer states about itself; in a stream each usage is cumulative and may leave members out."""
        said, usage = self.said, message.usage
        said.response_model, said.response_id = message.model or said.response_model, message.id or said.response_id
        if usage is None:
            return
        if usage.input_tokens is not None:
            cached = usage.cache_read_input_tokens or 0
            said.input_tokens = usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0)
        if usage.cache_read_input_tokens is not None:
            said.cached_tokens = usage.cache_read_input_tokens
        if usage.output_tokens is not None:
            said.output_tokens = usage.output_tokens
        if usage.output_tokens_details:
            said.reasoning_tokens = usage.output_tokens_details.thinking_tokens

    def _whole(self, message: _Message) -> Delta:
        """Take an answer that was not streamed. Of several kinds of content, text says more than thinking or tools."""
        self._take(message)
        if message.stop_reason:
            self.said.finish(message.stop_reason)
        words = {TEXT: "", TOOL: "", REASONING: ""}
        for block in message.content:
            kind, content, _ = _content(block)
            if kind in words:
                words[kind] += content
        return next(((kind, content, 0) for kind, content in words.items() if content), (OTHER, "", 0))


def _content(block: _Block) -> Delta:
    """Return what a block or a delta of one brings. A signature or a citation is no token."""
    if block.text:
        return text(block.text)
    if block.thinking:
        return reasoning(block.thinking)
    if block.partial_json:
        return tool(block.partial_json)
    if block.name:  # a call opens with its name, and with the whole input where nothing is streamed
        whole = bytes(block.input)
        return tool(block.name + (whole.decode() if whole != b"{}" else ""))
    return NOTHING


def _system(ask: Ask) -> str:
    return "\n\n".join(_text_of(message) for message in ask.messages if message.get("role") == "system")


def _text_of(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(str(part.get("text") or "") for part in content)
