"""OpenAI chat completions, as OpenAI, vLLM, SGLang, TensorRT-LLM, llama.cpp, TGI and many others speak it.

Thinking has five forms: `reasoning_content` (DeepSeek, vLLM, SGLang), `reasoning` (vLLM, OpenRouter, Groq), `thinking`,
`reasoning_details` (OpenRouter, MiniMax) and parts of the content of type `thinking` (Mistral).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from otel_llm.record import OTHER, PADDING, REASONING, TEXT, TOOL
from otel_llm.wire.liberal import load
from otel_llm.wire.openai_json import (
    VERSIONS,
    Timed,
    answer_length,
    arguments_of,
    bill,
    error_of,
    read_or_end,
    take_timings,
)
from otel_llm.wire.protocol import NOTHING, Ask, Delta, Media, Protocol, WireRequest, json_body

__all__ = ["OpenAIChat"]


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Audio(msgspec.Struct, gc=False):
    data: str | None = None
    transcript: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function | None = None


class _Message(msgspec.Struct, gc=False):
    """A delta of a stream, or the message of a whole answer: the same members."""

    content: str | list[msgspec.Raw] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking: str | None = None
    reasoning_details: list[msgspec.Raw] | None = None
    audio: _Audio | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: str | None = None


class _Chunk(Timed, gc=False):
    choices: list[_Choice] = msgspec.field(default_factory=list)
    error: msgspec.Raw = msgspec.Raw()


class _Named(_Chunk, gc=False):
    """A chunk with the model and the id in it: every chunk repeats them, so they are read from one only."""

    model: str | None = None
    id: str | int | None = None


_decode = msgspec.json.Decoder(_Chunk).decode
_decode_named = msgspec.json.Decoder(_Named).decode


class OpenAIChat(Protocol):
    """`POST …/chat/completions`."""

    name = "openai_chat"
    paths = ("/chat/completions",)
    versions = VERSIONS
    media = ("image", "audio", "video")

    provider = "openai"
    repeats = True
    conversations = True

    __slots__ = ()

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        body = {"model": ask.model, "messages": list(ask.messages), "stream": ask.stream}
        if ask.stream:
            body["stream_options"] = {"include_usage": True}
        return WireRequest(json_body(body, ask.parameters))

    @classmethod
    def with_media(cls, text: str, media: Sequence[Media]) -> Mapping[str, Any]:
        return {"content": [{"type": "text", "text": text}, *map(_part, media)]}

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return answer_length(tokens)

    def decode(self, event: bytes) -> Delta | None:
        said = self.said
        named = said.response_model is not None
        try:
            chunk = _decode(event) if named else _decode_named(event)
        except ValueError:
            if (found := read_or_end(event, _Named, self)) is None:
                return None
            chunk = found
        choices = chunk.choices
        if len(choices) == 1 and named:  # nearly every event: one choice, text, nothing else
            choice = choices[0]
            delta = choice.delta
            if (
                delta is not None
                and delta.content.__class__ is str
                and delta.content
                and choice.finish_reason is None
                and chunk.usage is None
                and not len(chunk.error)
            ):
                return TEXT, delta.content, 0
        kind, text, tokens = NOTHING
        for choice in choices:
            if choice.finish_reason:
                said.finish(choice.finish_reason)
            if message := choice.delta or choice.message:
                brought, words = _content(message)
                text += words
                # of several choices in one chunk, text says more than reasoning or a tool call
                kind = TEXT if TEXT in (kind, brought) else kind or brought
        if chunk.__class__ is _Named and chunk.model:
            said.response_model, said.response_id = chunk.model, None if chunk.id is None else str(chunk.id)
        take_timings(said, chunk)
        if chunk.usage is not None:
            kind, tokens = kind or OTHER, bill(said, chunk.usage)
        if chunk.error:
            said.error = error_of(chunk.error)
            kind = kind or OTHER
        return kind, text, tokens


def _content(message: _Message) -> tuple[int, str]:
    """Return (kind, text) of a message or delta. Sound is content too, with the words that come with it."""
    if isinstance(message.content, str) and message.content:
        return TEXT, message.content
    words, thought = _parts(message.content) if isinstance(message.content, list) else ("", "")
    if words:
        return TEXT, words
    thought = thought or message.reasoning_content or message.reasoning or message.thinking or ""
    if thought or (message.reasoning_details and (thought := "".join(map(_detail, message.reasoning_details)))):
        return REASONING, thought
    if message.refusal:
        return TEXT, message.refusal
    if (audio := message.audio) and (audio.transcript or audio.data):
        return TEXT, audio.transcript or ""
    if message.tool_calls or message.function_call:
        calls = [call.function for call in message.tool_calls or ()] + [message.function_call]
        if words := "".join((call.name or "") + arguments_of(call.arguments) for call in calls if call):
            return TOOL, words
    return PADDING, ""


def _parts(parts: Sequence[msgspec.Raw]) -> tuple[str, str]:
    """Return (text, thinking) of a content that came as a list of parts: typed ones, or bare strings."""
    words, thoughts = "", ""
    for part in map(load, map(bytes, parts)):
        if isinstance(part, str):
            words += part
        elif isinstance(part, dict):
            words += _text_in(part.get("text"))
            thoughts += _text_in(part.get("thinking"))
    return words, thoughts


def _detail(raw: msgspec.Raw) -> str:
    """Return what a reasoning detail says: its text, its summary, or what stands in for thoughts that are kept back."""
    detail = load(bytes(raw))
    found = (detail.get(name) for name in ("text", "summary", "data")) if isinstance(detail, dict) else (detail,)
    return next((text for text in found if isinstance(text, str) and text), "")


def _text_in(value: object) -> str:
    """Return a text, or the texts of a list of parts."""
    if isinstance(value, list):
        return "".join(_text_in(part.get("text")) for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""


def _part(media: Media) -> Mapping[str, Any]:
    """Return the part of a message; that of a video is in the words of vLLM, as OpenAI has none."""
    if media.kind == "audio":
        return {"type": "input_audio", "input_audio": {"data": media.data, "format": media.format}}
    name = f"{media.kind}_url"
    return {"type": name, name: {"url": media.url}}
