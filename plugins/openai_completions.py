"""OpenAI text completions, the older sibling that every inference engine still serves."""

from collections.abc import Mapping
from typing import Any

import msgspec

from otel_llm.record import OTHER, PADDING, TEXT
from otel_llm.wire.openai_json import VERSIONS, Timed, answer_length, bill, error_of, read_or_end, take_timings
from otel_llm.wire.protocol import Ask, Delta, Protocol, WireRequest, json_body

__all__ = ["OpenAICompletions"]


class _Choice(msgspec.Struct, gc=False):
    text: str | None = None
    finish_reason: str | None = None


class _Chunk(Timed, gc=False):
    choices: list[_Choice] = msgspec.field(default_factory=list)
    model: str | None = None
    id: str | int | None = None
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Chunk).decode


class OpenAICompletions(Protocol):
    """`POST …/completions`. The prompt is the last message's content."""

    name = "openai_completions"
    paths = ("/completions",)
    versions = VERSIONS
    operation = "text_completion"

    provider = "openai"
    repeats = True

    __slots__ = ()

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        body = {"model": ask.model, "prompt": ask.prompt, "stream": ask.stream}
        if ask.stream:
            body["stream_options"] = {"include_usage": True}
        return WireRequest(json_body(body, ask.parameters))

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return answer_length(tokens)

    def decode(self, event: bytes) -> Delta | None:
        said = self.said
        try:
            chunk = _decode(event)
        except ValueError:
            if (found := read_or_end(event, _Chunk, self)) is None:
                return None
            chunk = found
        kind, text, tokens = PADDING, "", 0
        for choice in chunk.choices:
            if choice.text:
                kind, text = TEXT, text + choice.text
            if choice.finish_reason:
                said.finish(choice.finish_reason)
        if said.response_model is None and chunk.model:
            said.response_model, said.response_id = chunk.model, None if chunk.id is None else str(chunk.id)
        take_timings(said, chunk)
        if chunk.usage is not None:
            kind, tokens = kind or OTHER, bill(said, chunk.usage)
        if chunk.error:
            said.error = error_of(chunk.error)
            kind = kind or OTHER
        return kind, text, tokens
