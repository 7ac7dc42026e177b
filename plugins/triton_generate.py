"""Triton's generate extension over HTTP, as the vLLM and TensorRT-LLM backends are asked: `text_input`, `text_output`.

Source: the documentation of the extension and of both backends, and a Triton 2.51, read and seen in 2026. The answer
ends without a word: no finish reason unless `return_finish_reason` is asked for, no usage unless the counts are.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from otel_llm.record import OTHER
from otel_llm.wire.liberal import read
from otel_llm.wire.openai_json import error_of
from otel_llm.wire.protocol import Ask, Delta, Protocol, WireRequest, json_body, text

__all__ = ["TritonGenerate"]


class _Event(msgspec.Struct, gc=False):
    text_output: str | list[str] | None = None
    model_name: str | None = None
    id: str | None = None
    finish_reason: str | None = None
    num_input_tokens: int | None = None
    num_output_tokens: int | None = None
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Event).decode


class TritonGenerate(Protocol):
    """`POST /v2/models/MODEL/generate_stream`, or `…/generate` for a whole answer.

    Parameters stand beside `text_input`: Triton makes an input of what the model has an input for, and a parameter of
    the rest. The prompt is the last message's content, as it is.
    """

    name = "triton_generate"
    paths = ("/v2/models/*/generate_stream", "/v2/models/*/generate")
    versions = (("/v2", "version"),)
    operation = "text_completion"
    finishes = False

    __slots__ = ()

    @classmethod
    def path(cls, model: str, *, stream: bool) -> str:
        return f"/v2/models/{model}/generate" + ("_stream" if stream else "")

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        body: dict[str, Any] = {"text_input": ask.prompt, "stream": ask.stream}
        return WireRequest(json_body(body, ask.parameters))

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return {"max_tokens": tokens}

    def decode(self, event: bytes) -> Delta | None:
        said = self.said
        try:
            chunk = _decode(event)
        except ValueError:
            chunk = read(event, _Event, said)
        if chunk.error:
            said.error = error_of(chunk.error)
            return OTHER, "", 0
        said.response_model, said.response_id = chunk.model_name or said.response_model, chunk.id or said.response_id
        said.input_tokens = chunk.num_input_tokens or said.input_tokens
        tokens = chunk.num_output_tokens or 0  # of this event
        if chunk.num_output_tokens is not None:
            said.output_tokens = (said.output_tokens or 0) + tokens
        if chunk.finish_reason:
            said.finish(chunk.finish_reason)
        words = "".join(chunk.text_output) if isinstance(chunk.text_output, list) else chunk.text_output or ""
        return text(words, tokens) if words else (OTHER, "", tokens)
