"""Bedrock's Converse: typed events that open, grow and close blocks of content, in AWS's binary event stream.

Source: the reference of the Bedrock runtime API, and the service description in botocore 1.44. `metadata` comes after
`messageStop`, with the bill. The key is a Bedrock API key, which goes out as a bearer token; `--sigv4` signs in its
place.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from otel_llm.record import OTHER, REASONING, TEXT, TOOL
from otel_llm.wire.liberal import read
from otel_llm.wire.openai_json import arguments_of
from otel_llm.wire.protocol import NOTHING, Ask, Delta, Media, Protocol, WireRequest, json_body
from otel_llm.wire.protocol import reasoning as reasoning_delta
from otel_llm.wire.protocol import text as text_delta
from otel_llm.wire.protocol import tool as tool_delta

__all__ = ["BedrockConverse"]

_CONFIG = frozenset(("maxTokens", "temperature", "topP", "stopSequences"))
"""Parameters that go into `inferenceConfig`; all others stand beside `messages`."""


class _Tool(msgspec.Struct, gc=False):
    name: str | None = None
    input: str | dict[str, Any] | None = None


class _ReasoningText(msgspec.Struct, gc=False):
    text: str | None = None


class _Reasoning(msgspec.Struct, rename="camel", gc=False):
    """A piece has its text here, a whole block below."""

    text: str | None = None
    reasoning_text: _ReasoningText | None = None


class _Content(msgspec.Struct, rename="camel", gc=False):
    """A block of a whole answer, or what an event adds to one."""

    text: str | None = None
    tool_use: _Tool | None = None
    reasoning_content: _Reasoning | None = None


class _Delta(msgspec.Struct, gc=False):
    delta: _Content | None = None


class _Start(msgspec.Struct, gc=False):
    start: _Content | None = None


class _Stop(msgspec.Struct, rename="camel", gc=False):
    stop_reason: str | None = None


class _Usage(msgspec.Struct, rename="camel", gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class _Metadata(msgspec.Struct, gc=False):
    usage: _Usage | None = None


class _Message(msgspec.Struct, gc=False):
    content: list[_Content] = []


class _Output(msgspec.Struct, gc=False):
    message: _Message | None = None


class _Error(msgspec.Struct, gc=False):
    message: str | None = None


class _Event(msgspec.Struct, rename="camel", gc=False):
    """One event, or a whole answer."""

    content_block_delta: _Delta | None = None
    content_block_start: _Start | None = None
    message_stop: _Stop | None = None
    metadata: _Metadata | None = None
    output: _Output | None = None
    stop_reason: str | None = None
    usage: _Usage | None = None
    error: _Error | None = None
    internal_server_exception: _Error | None = None
    model_stream_error_exception: _Error | None = None
    service_unavailable_exception: _Error | None = None
    throttling_exception: _Error | None = None
    validation_exception: _Error | None = None


_ERRORS = {
    "error": "error",
    "internal_server_exception": "internalServerException",
    "model_stream_error_exception": "modelStreamErrorException",
    "service_unavailable_exception": "serviceUnavailableException",
    "throttling_exception": "throttlingException",
    "validation_exception": "validationException",
}
_decode = msgspec.json.Decoder(_Event).decode


class BedrockConverse(Protocol):
    """`POST /model/{model}/converse-stream`, or `…/converse` for a whole answer. The model is in the path."""

    name = "bedrock_converse"
    paths = ("/model/*/converse-stream", "/model/*/converse")
    media = ("image",)
    framing = "event_stream"
    provider = "aws.bedrock"
    accept = "application/vnd.amazon.eventstream"

    repeats = True
    conversations = True

    __slots__ = ()

    @classmethod
    def path(cls, model: str, *, stream: bool) -> str:
        return f"/model/{quote(model, safe='')}/converse" + ("-stream" if stream else "")

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        top = {key: value for key, value in ask.parameters.items() if key not in _CONFIG}
        config = {key: value for key, value in ask.parameters.items() if key in _CONFIG and value is not None}
        turns = [m for m in ask.messages if m.get("role") != "system"]
        body: dict[str, Any] = {"messages": [{"role": m["role"], "content": _blocks(m)} for m in turns]}
        if system := [block for m in ask.messages if m.get("role") == "system" for block in _blocks(m)]:
            body["system"] = system
        if config:
            top["inferenceConfig"] = {**(top.get("inferenceConfig") or {}), **config}
        return WireRequest(json_body(body, top))

    @classmethod
    def with_media(cls, text: str, media: Sequence[Media]) -> Mapping[str, Any]:
        shown = [
            {"image": {"format": each.media_type.rpartition("/")[2], "source": {"bytes": each.data}}} for each in media
        ]
        return {"content": [{"text": text}, *shown]}

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return {"maxTokens": tokens}

    def decode(self, event: bytes) -> Delta | None:
        try:
            said = _decode(event)
        except ValueError:
            said = read(event, _Event, self.said)
        if said.content_block_delta is not None:
            return _piece(said.content_block_delta.delta)
        if (started := said.content_block_start) is not None:
            return _piece(started.start)
        if said.message_stop is not None:
            return self._stop(said.message_stop.stop_reason)
        if said.metadata is not None:
            return self._bill(said.metadata.usage)
        if said.output is not None:
            self._stop(said.stop_reason)
            self._bill(said.usage)
            words = _words(said.output.message.content if said.output.message else ())
            return next(((kind, content, 0) for kind, content in words.items() if content), (OTHER, "", 0))
        for field, kind in _ERRORS.items():
            if (error := getattr(said, field)) is not None:
                self.said.error = kind, error.message or ""
                return OTHER, "", 0
        return NOTHING

    def _stop(self, reason: str | None) -> Delta:
        if reason:
            self.said.finish(reason)
        return OTHER, "", 0

    def _bill(self, usage: _Usage | None) -> Delta:
        if usage is not None:
            said = self.said
            said.input_tokens, said.output_tokens = usage.input_tokens, usage.output_tokens
            said.cached_tokens = usage.cache_read_input_tokens
        return OTHER, "", 0


def _piece(added: _Content | None) -> Delta:
    """Return what an event adds: text says more than a call, a call than a thought."""
    if added is None:
        return NOTHING
    if added.text:
        return text_delta(added.text)
    if added.tool_use is not None:
        return tool_delta(_call(added.tool_use))
    return reasoning_delta(_thought(added.reasoning_content))


def _words(blocks: Sequence[_Content]) -> dict[int, str]:
    """Return what a whole answer has of each kind."""
    return {
        TEXT: "".join(block.text or "" for block in blocks),
        TOOL: "".join(_call(block.tool_use) for block in blocks if block.tool_use is not None),
        REASONING: "".join(_thought(block.reasoning_content) for block in blocks),
    }


def _call(tool: _Tool) -> str:
    return (tool.name or "") + arguments_of(tool.input)


def _thought(thought: _Reasoning | None) -> str:
    if thought is None:
        return ""
    return thought.text or (thought.reasoning_text.text if thought.reasoning_text else None) or ""


def _blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the content of a message as blocks: a text, or blocks in Converse's own form or in OpenAI's."""
    content = message["content"]
    if isinstance(content, str):
        return [{"text": content}]
    return [{"text": part["text"]} if part.get("type") == "text" else dict(part) for part in content]
