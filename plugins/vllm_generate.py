"""vLLM's own `/inference/v1/generate`: token ids in, token ids out, as a gateway that has the tokenizer asks.

Source: vllm/entrypoints/scale_out/token_in_token_out of vLLM 0.32, read in 2026, and a real server. With the parameter
`output_mode=text` the answer has its text too.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.record import OTHER, PADDING, TEXT
from otel_llm.wire.openai_json import VERSIONS, Timed, answer_length, bill, error_of, read_or_end, take_timings
from otel_llm.wire.protocol import Ask, Delta, Protocol, WireRequest, json_body

__all__ = ["VllmGenerate"]

_BESIDE: Final = frozenset(
    (
        *("cache_salt", "content_parts", "ec_transfer_params", "features", "kv_transfer_params", "output_mode"),
        *("priority", "reasoning_ended", "reasoning_parser_kwargs", "request_id", "return_token_ids", "stream_options"),
    )
)
"""Parameters that stand beside `sampling_params`, where all others go."""


class _Choice(msgspec.Struct, gc=False):
    token_ids: Sequence[int] | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Chunk(Timed, gc=False):
    choices: list[_Choice] = msgspec.field(default_factory=list)
    request_id: str | None = None
    model: str | None = None
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Chunk).decode


class VllmGenerate(Protocol):
    """`POST …/inference/v1/generate`. The prompt is token ids, by `--tokenizer-path`, or the parameter `input_ids`."""

    name = "vllm_generate"
    paths = ("/inference/v1/generate",)
    versions = VERSIONS
    operation = "text_completion"
    as_ids = ("prompt", "answer")

    __slots__ = ()

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        given = dict(ask.parameters)
        ids = given.pop("input_ids", None) or ask.token_ids
        if not ids:
            hint = "give --tokenizer-path, or --parameters input_ids=[1,2]"
            raise ConfigError(f"a prompt in token ids for {cls.name}", "text", hint)
        own = {name: given.pop(name) for name in _BESIDE & given.keys()}
        sampling = {name: value for name, value in given.items() if value is not None}
        body = {"model": ask.model, "token_ids": list(ids), "sampling_params": sampling, "stream": ask.stream}
        if ask.stream:
            body["stream_options"] = {"include_usage": True}
        return WireRequest(json_body(body, own))

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
        said.response_id, said.response_model = chunk.request_id or said.response_id, chunk.model or said.response_model
        words, tokens = "", 0
        for choice in chunk.choices:
            words += choice.text or ""
            tokens += len(choice.token_ids or ())
            if choice.finish_reason:
                said.finish(choice.finish_reason)
        if tokens:
            said.output_tokens = (said.output_tokens or 0) + tokens
        take_timings(said, chunk)
        if chunk.usage is not None:
            tokens += bill(said, chunk.usage)
        if chunk.error:
            said.error = error_of(chunk.error)
        if words or (tokens and chunk.choices):
            return TEXT, words, tokens
        return (OTHER if chunk.usage is not None or chunk.error else PADDING), "", tokens
