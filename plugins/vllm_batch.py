"""vLLM's `/v1/chat/completions/batch`: many conversations in one request, all answers in one, when the last is there.

Source: vllm/entrypoints/openai/chat_completion/batch_serving.py, read in 2026, and a real vLLM 0.32. An answer has a
choice for each conversation, in their order, and one usage for all. One that fails fails them all. There are no
streams, and no tools. vLLM counts each conversation as a request.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from otel_llm.record import OTHER, PADDING, REASONING, TEXT
from otel_llm.wire.liberal import read
from otel_llm.wire.openai_json import VERSIONS, Timed, answer_length, bill, error_of, take_timings
from otel_llm.wire.protocol import Ask, Delta, Protocol, WireRequest, json_body

__all__ = ["VllmBatch"]


class _Message(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message = msgspec.field(default_factory=_Message)
    finish_reason: str | None = None


class _Answer(Timed, gc=False):
    choices: list[_Choice] = msgspec.field(default_factory=list)
    model: str | None = None
    id: str | None = None
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Answer).decode


class VllmBatch(Protocol):
    """`POST …/chat/completions/batch`. Each message is a conversation of its own: a request of several is a batch."""

    name = "vllm_batch"
    paths = ("/chat/completions/batch",)
    versions = VERSIONS
    accept = "application/json"
    streams = False

    __slots__ = ()

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        body = {"model": ask.model, "messages": [[message] for message in ask.messages]}
        return WireRequest(json_body(body, ask.parameters))

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return answer_length(tokens)

    def decode(self, event: bytes) -> Delta | None:
        said = self.said
        try:
            answer = _decode(event)
        except ValueError:
            answer = read(event, _Answer, said)
        said.response_id, said.response_model = answer.id, answer.model
        for choice in answer.choices:
            if choice.finish_reason:
                said.finish(choice.finish_reason)
        words = "".join(choice.message.content or "" for choice in answer.choices)
        thoughts = "".join(choice.message.reasoning or "" for choice in answer.choices)
        take_timings(said, answer)
        tokens = 0 if answer.usage is None else bill(said, answer.usage)
        if answer.error:
            said.error = error_of(answer.error)
        if words or thoughts:
            return (TEXT if words else REASONING), words or thoughts, tokens
        return (OTHER if answer.usage is not None or answer.error else PADDING), "", tokens
