"""The generate protocol of Text Generation Inference: one token an event, `details` with the last.

Source: the OpenAPI description of TGI and its router, read in 2026. The server has an OpenAI protocol besides, which
is `openai_chat`. A special token (end of sequence) is billed but is no text, so its event is a chunk without content.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from otel_llm.record import OTHER
from otel_llm.wire.liberal import read
from otel_llm.wire.openai_json import error_of
from otel_llm.wire.protocol import Ask, Delta, Protocol, WireRequest, json_body, text

__all__ = ["TGIGenerate"]

_TOP = frozenset(("inputs", "stream"))


class _Token(msgspec.Struct, gc=False):
    text: str | None = None
    special: bool = False


class _Details(msgspec.Struct, gc=False):
    finish_reason: str | None = None
    generated_tokens: int | None = None
    input_length: int | None = None
    prefill: list[msgspec.Raw] = []


class _Event(msgspec.Struct, gc=False):
    token: _Token | None = None
    generated_text: str | None = None
    details: _Details | None = None
    error: msgspec.Raw = msgspec.Raw()
    error_type: str | None = None


_decode = msgspec.json.Decoder(_Event | list[_Event]).decode  # `POST /` without a stream answers with a list of one


class TGIGenerate(Protocol):
    """`POST …/generate_stream`, or `…/generate` for a whole answer. The prompt is the last message's content, as it is.

    Parameters go into the body's `parameters`. `details` are asked for, since only they hold the finish reason.
    """

    name = "tgi_generate"
    paths = ("/generate_stream", "/generate")
    versions = (("/info", "version"),)
    operation = "text_completion"

    __slots__ = ()

    @classmethod
    def path(cls, model: str, *, stream: bool) -> str:
        return "/generate_stream" if stream else "/generate"

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        top = {key: value for key, value in ask.parameters.items() if key in _TOP}
        inner = {"details": True, **{key: value for key, value in ask.parameters.items() if key not in _TOP}}
        body: dict[str, Any] = {
            "inputs": ask.prompt,
            "parameters": {key: value for key, value in inner.items() if value is not None},
            "stream": ask.stream,
        }
        return WireRequest(json_body(body, top))

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return {"max_new_tokens": tokens}

    def decode(self, event: bytes) -> Delta | None:
        try:
            decoded = _decode(event)
        except ValueError:
            decoded = read(event, _Event, self.said)
        chunk = decoded[0] if isinstance(decoded, list) and decoded else decoded
        if isinstance(chunk, list):
            raise ValueError("expected an answer, got an empty list")
        if chunk.error:
            kind, message = error_of(chunk.error) or ("error", "")
            self.said.error = chunk.error_type or kind, message
            return OTHER, "", 0
        if details := chunk.details:
            said = self.said
            said.output_tokens = details.generated_tokens
            said.input_tokens = details.input_length or len(details.prefill) or None
            if details.finish_reason:
                said.finish(details.finish_reason)
        if chunk.token is None:
            return text(chunk.generated_text or "")
        if chunk.token.special:
            return OTHER, "", 0
        return text(chunk.token.text or "", 1)
