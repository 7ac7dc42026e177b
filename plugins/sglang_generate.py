"""SGLang's own `/generate`: the text so far, or what is new of it, with the counts so far in `meta_info`.

Source: the documentation and the source of SGLang 0.5, read in 2026. Its events repeat the text unless the server runs
with `--incremental-streaming-output`; the counts are running totals either way. The server speaks OpenAI's protocols
besides. The path is also that of TGI, so this protocol goes by its name.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from otel_llm.record import OTHER
from otel_llm.wire.additions import Additions
from otel_llm.wire.liberal import load
from otel_llm.wire.openai_json import error_of, read_or_end
from otel_llm.wire.protocol import Ask, Delta, Protocol, WireRequest, json_body, text
from otel_llm.wire.server_timings import timings_in

__all__ = ["SGLangGenerate"]

_SAMPLING = frozenset(
    (
        *("custom_params", "ebnf", "frequency_penalty", "ignore_eos", "json_schema", "logit_bias", "max_new_tokens"),
        *("min_new_tokens", "min_p", "n", "no_stop_trim", "presence_penalty", "regex", "repetition_penalty"),
        *("sampling_seed", "skip_special_tokens", "spaces_between_special_tokens", "stop", "stop_token_ids"),
        *("structural_tag", "temperature", "top_k", "top_p"),
    )
)
"""Parameters that go into `sampling_params`; all others belong beside `text`."""


class _Meta(msgspec.Struct, gc=False):
    id: str | None = None
    finish_reason: msgspec.Raw = msgspec.Raw()
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    num_retractions: int | None = None
    queue_time: float | None = None
    forward_entry_time: float | None = None
    prefill_finished_time: float | None = None
    first_token_latency: float | None = None
    e2e_latency: float | None = None
    inference_time: float | None = None
    request_received_ts: float | None = None
    prefill_finished_ts: float | None = None
    decode_finished_ts: float | None = None


class _Event(msgspec.Struct, gc=False):
    text: str | None = None
    index: int = 0
    meta_info: _Meta | None = None
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Event | list[_Event]).decode


class SGLangGenerate(Protocol):
    """`POST …/generate`. The prompt is the last message's content, as it is: no chat template."""

    name = "sglang_generate"
    versions = (("/server_info", "version"), ("/get_server_info", "version"))
    operation = "text_completion"

    __slots__ = ("_added", "_billed")

    def __init__(self) -> None:
        super().__init__()
        self._added = Additions()
        self._billed: dict[int, int] = {}  # output tokens by the index of the choice

    @classmethod
    def path(cls, model: str, *, stream: bool) -> str:
        return "/generate"

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        top = {key: value for key, value in ask.parameters.items() if key not in _SAMPLING}
        sampling = {key: value for key, value in ask.parameters.items() if key in _SAMPLING and value is not None}
        body: dict[str, Any] = {"text": ask.prompt, "stream": ask.stream}
        if sampling:
            top["sampling_params"] = {**(top.get("sampling_params") or {}), **sampling}
        return WireRequest(json_body(body, top))

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return {"max_new_tokens": tokens, "ignore_eos": True}

    def decode(self, event: bytes) -> Delta | None:
        try:
            decoded = _decode(event)
        except ValueError:
            if (found := read_or_end(event, _Event, self)) is None:
                return None
            decoded = found
        choices = decoded if isinstance(decoded, list) else [decoded]
        if not choices:
            raise ValueError("expected an answer, got an empty list")
        taken = [self._take(choice, at if len(choices) > 1 else choice.index) for at, choice in enumerate(choices)]
        words, tokens = "".join([words for words, _ in taken]), sum([tokens for _, tokens in taken])
        return text(words, tokens) if words else (OTHER, "", tokens)

    def _take(self, choice: _Event, index: int) -> tuple[str, int]:
        """Return the words that an event adds to its choice, and the tokens."""
        if choice.error:
            self.said.error = error_of(choice.error)
            return "", 0
        tokens = self._bill(choice.meta_info, index) if choice.meta_info else 0
        if self.said.finish_reasons:
            self.said.server = timings_in(choice)
        return self._added.of(choice.text or "", tokens, index), tokens

    def _bill(self, meta: _Meta, index: int) -> int:
        """Take the running counts of a choice; return the output tokens that they add to those before."""
        said, before = self.said, self._billed.get(index, 0)
        said.response_id = meta.id or said.response_id
        said.input_tokens = meta.prompt_tokens or said.input_tokens
        said.cached_tokens = said.cached_tokens if meta.cached_tokens is None else meta.cached_tokens
        said.reasoning_tokens = meta.reasoning_tokens or said.reasoning_tokens
        if meta.completion_tokens is not None:
            self._billed[index] = meta.completion_tokens
            said.output_tokens = sum(self._billed.values())
        if meta.finish_reason and (reason := load(bytes(meta.finish_reason))):
            self._finish(reason)
        return max((meta.completion_tokens or 0) - before, 0)

    def _finish(self, reason: object) -> None:
        """Take a finish reason, which is an object with its `type`, or the bare word of older releases."""
        kind = reason.get("type") if isinstance(reason, dict) else reason
        if kind == "abort":
            message = reason.get("message") if isinstance(reason, dict) else None
            self.said.error = "abort", str(message or "the server aborted the request")
        else:
            self.said.finish(str(kind))
