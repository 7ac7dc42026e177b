"""Ollama's generate protocol: a prompt in, one JSON object a line out, the last of them marked `done`.

Source: the API reference of Ollama, read in 2026. An error inside an answer is a line with `error` alone.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from otel_llm.record import OTHER
from otel_llm.wire.liberal import read
from otel_llm.wire.openai_json import error_of
from otel_llm.wire.protocol import Ask, Delta, Protocol, WireRequest, json_body, reasoning, text
from otel_llm.wire.server_timings import timings_in

__all__ = ["OllamaGenerate"]

_TOP = frozenset(
    (
        *("context", "format", "images", "keep_alive", "logprobs", "options", "raw", "stream", "suffix", "system"),
        *("template", "think", "top_logprobs"),
    )
)
"""Parameters that belong beside `prompt`; all others are `options` of the model, such as `temperature`."""


class _Line(msgspec.Struct, gc=False):
    model: str | None = None
    response: str | None = None
    thinking: str | None = None
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


class OllamaGenerate(Protocol):
    """`POST …/api/generate`. The prompt is the last message's content."""

    name = "ollama_generate"
    paths = ("/api/generate",)
    versions = (("/api/version", "version"),)
    framing = "ndjson"
    accept = "application/x-ndjson"
    operation = "text_completion"

    __slots__ = ()

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        top = {key: value for key, value in ask.parameters.items() if key in _TOP}
        options = {key: value for key, value in ask.parameters.items() if key not in _TOP and value is not None}
        body: dict[str, Any] = {"model": ask.model, "prompt": ask.prompt, "stream": ask.stream}
        if options:
            top["options"] = {**(top.get("options") or {}), **options}
        return WireRequest(json_body(body, top))

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
        delta = text(line.response) if line.response else reasoning(line.thinking or "")
        if not line.done:
            return delta
        self.done = True
        said.finish(line.done_reason or "stop")
        said.input_tokens, said.output_tokens = line.prompt_eval_count, line.eval_count
        said.server = timings_in(line)
        return delta if delta[1] else (OTHER, "", 0)
