"""Gemini's `streamGenerateContent`: each event a whole response with the parts that are new and the running usage.

Source: the reference of the Gemini API (v1beta) and of Vertex AI, which share it, read in 2026. Without `alt=sse` in
the query a stream is one JSON array, written as it grows: it is read as an answer in one piece.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from otel_llm.record import OTHER, REASONING, TEXT, TOOL
from otel_llm.wire.liberal import read
from otel_llm.wire.openai_json import arguments_of
from otel_llm.wire.protocol import Ask, Delta, Media, Protocol, WireRequest, json_body

__all__ = ["Gemini"]

_TOP = frozenset(
    (
        *("cachedContent", "contents", "generationConfig", "labels", "safetySettings", "systemInstruction"),
        *("toolConfig", "tools"),
    )
)
"""Parameters that belong beside `contents`; all others go into `generationConfig`, such as `temperature`."""


class _Call(msgspec.Struct, gc=False):
    name: str | None = None
    args: dict[str, Any] | None = None


class _Part(msgspec.Struct, rename="camel", gc=False):
    text: str | None = None
    thought: bool = False
    function_call: _Call | None = None


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] = []


class _Candidate(msgspec.Struct, rename="camel", gc=False):
    content: _Content | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct, rename="camel", gc=False):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None


class _Feedback(msgspec.Struct, rename="camel", gc=False):
    block_reason: str | None = None


class _Error(msgspec.Struct, gc=False):
    code: int | None = None
    status: str | None = None
    message: str | None = None


class _Response(msgspec.Struct, rename="camel", gc=False):
    candidates: list[_Candidate] = []
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Usage | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Response | list[_Response]).decode


class Gemini(Protocol):
    """`POST …:streamGenerateContent?alt=sse`, or `…:generateContent` for a whole answer. The model is in the path.

    Output tokens are those of the candidates and of the thoughts, which the API counts apart.
    """

    name = "gemini"
    paths = (":streamGenerateContent", ":generateContent")
    media = ("image", "audio", "video")
    operation = "generate_content"
    provider = "gcp.gemini"
    authorization = "x-goog-api-key: {}"

    conversations = True

    __slots__ = ()

    @classmethod
    def path(cls, model: str, *, stream: bool) -> str:
        return f"/v1beta/models/{model}" + (":streamGenerateContent?alt=sse" if stream else ":generateContent")

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        top = {key: value for key, value in ask.parameters.items() if key in _TOP}
        config = {key: value for key, value in ask.parameters.items() if key not in _TOP and value is not None}
        body: dict[str, Any] = {"contents": [_turn(m) for m in ask.messages if m.get("role") != "system"]}
        if system := [part for m in ask.messages if m.get("role") == "system" for part in _parts(m)]:
            body["systemInstruction"] = {"parts": system}
        if config:
            top["generationConfig"] = {**(top.get("generationConfig") or {}), **config}
        return WireRequest(json_body(body, top))

    @classmethod
    def with_media(cls, text: str, media: Sequence[Media]) -> Mapping[str, Any]:
        shown = [{"inlineData": {"mimeType": each.media_type, "data": each.data}} for each in media]
        return {"content": [{"text": text}, *shown]}

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return {"maxOutputTokens": tokens}

    def decode(self, event: bytes) -> Delta | None:
        try:
            decoded = _decode(event)
        except ValueError:
            decoded = read(event, _Response, self.said)
        responses = decoded if isinstance(decoded, list) else [decoded]
        if not responses:
            raise ValueError("expected an answer, got an empty list")
        words = {TEXT: "", TOOL: "", REASONING: ""}  # of several kinds, text says more than a call or a thought
        tokens = sum([self._take(response, words) for response in responses])
        return next(((kind, content, tokens) for kind, content in words.items() if content), (OTHER, "", tokens))

    def _take(self, response: _Response, words: dict[int, str]) -> int:
        """Add what a response says to `words`; return the tokens that it brought."""
        said = self.said
        if error := response.error:
            said.error = error.status or str(error.code or "error"), error.message or ""
            return 0
        said.response_model = response.model_version or said.response_model
        said.response_id = response.response_id or said.response_id
        if (feedback := response.prompt_feedback) and feedback.block_reason and not response.candidates:
            said.error = "prompt_blocked", feedback.block_reason
        for candidate in response.candidates:
            if candidate.finish_reason:
                said.finish(candidate.finish_reason)
            for part in candidate.content.parts if candidate.content else ():
                kind, content = _content(part)
                words[kind] += content
        return self._bill(response.usage_metadata) if response.usage_metadata else 0

    def _bill(self, usage: _Usage) -> int:
        """Take the running usage; return the output tokens that it adds to the one before."""
        said, before = self.said, self.said.output_tokens
        said.input_tokens = usage.prompt_token_count or said.input_tokens
        said.cached_tokens = usage.cached_content_token_count or said.cached_tokens
        said.reasoning_tokens = usage.thoughts_token_count or said.reasoning_tokens
        if usage.candidates_token_count is None and usage.thoughts_token_count is None:
            return 0
        said.output_tokens = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
        return max(said.output_tokens - (before or 0), 0)


def _content(part: _Part) -> tuple[int, str]:
    if call := part.function_call:
        return TOOL, (call.name or "") + arguments_of(call.args)
    return (REASONING if part.thought else TEXT), part.text or ""


def _turn(message: Mapping[str, Any]) -> dict[str, Any]:
    role = "model" if message.get("role") == "assistant" else "user"
    return {"role": role, "parts": _parts(message)}


def _parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of a message: its text, or its parts, in OpenAI's form or in Gemini's own."""
    content = message["content"]
    if isinstance(content, str):
        return [{"text": content}]
    return [dict(part) if "inlineData" in part else {"text": part["text"]} for part in content]
