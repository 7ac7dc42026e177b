"""The own completion protocol of llama.cpp's server: one event a token, the last marked `stop`, with the timings.

Source: the README and the source of llama-server, read in 2026. The server speaks OpenAI's protocols besides.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from otel_llm.record import OTHER
from otel_llm.wire.openai_json import error_of, read_or_end
from otel_llm.wire.protocol import Ask, Delta, Protocol, WireRequest, json_body, text
from otel_llm.wire.server_timings import timings_in

__all__ = ["LlamaCppCompletion"]


class _Timings(msgspec.Struct, gc=False):
    cache_n: int | None = None
    prompt_ms: float | None = None
    predicted_ms: float | None = None


class _Event(msgspec.Struct, gc=False):
    content: str | None = None
    stop: bool = False
    stop_type: str | None = None
    stopped_limit: bool = False
    model: str | None = None
    tokens_predicted: int | None = None
    tokens_evaluated: int | None = None
    timings: _Timings | None = None
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Event).decode


class LlamaCppCompletion(Protocol):
    """`POST …/completion`. The prompt is the last message's content, as it is: no chat template.

    `tokens_cached` is not taken: it counts what is in the cache after the answer, not what the prompt found there.
    """

    name = "llama_cpp_completion"
    paths = ("/completion",)
    versions = (("/props", "build_info"),)
    operation = "text_completion"

    __slots__ = ()

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        body: dict[str, Any] = {"model": ask.model, "prompt": ask.prompt, "stream": ask.stream}
        return WireRequest(json_body(body, ask.parameters))

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return {"n_predict": tokens, "ignore_eos": True}

    def decode(self, event: bytes) -> Delta | None:
        said = self.said
        try:
            chunk = _decode(event)
        except ValueError:
            if (found := read_or_end(event, _Event, self)) is None:
                return None
            chunk = found
        if chunk.error:
            said.error = error_of(chunk.error)
            return OTHER, "", 0
        before = said.output_tokens or 0
        said.response_model = chunk.model or said.response_model
        said.input_tokens = chunk.tokens_evaluated or said.input_tokens
        if chunk.tokens_predicted is not None:
            said.output_tokens = chunk.tokens_predicted
        if chunk.timings and chunk.timings.cache_n is not None:
            said.cached_tokens = chunk.timings.cache_n
        if chunk.stop:
            self.done, said.server = True, timings_in(chunk)
            said.finish(chunk.stop_type or ("limit" if chunk.stopped_limit else "eos"))
        tokens = max((chunk.tokens_predicted or 0) - before, 0)
        return text(chunk.content, tokens) if chunk.content else (OTHER, "", tokens)
