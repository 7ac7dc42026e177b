"""What is spoken by gRPC: each event of an answer a message, which the plugin makes of JSON, and an error a status.

The bytes of an answer are frames: whether it is a message or a status, four bytes of length, and what it says.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from struct import Struct
from typing import ClassVar, Final, cast

import orjson

from otel_llm.sim.formats.format import Format, Json, Question
from otel_llm.wire.discovery import load_protocol
from otel_llm.wire.messages import MessageProtocol

__all__ = ["GRPC_FORMATS", "ByGrpc", "frames_in"]

_HEAD: Final = Struct(">?I")
_STATUSES: Final = {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
_ID: Final = 11


class ByGrpc(Format):
    """An answer to one call.

    plugin: the protocol whose messages these are
    """

    over_http = False
    plugin: ClassVar[str]

    def __init__(self, question: Question, request_id: str, created: int) -> None:
        super().__init__(question, request_id, created)
        self._pad = {}  # a message has the members that it has

    @classmethod
    def protocol(cls) -> type[MessageProtocol]:
        return _protocol(cls.plugin)

    @classmethod
    def asked(cls, body: Json, path: str) -> Json:
        """Return what a request asks, as the other formats have it."""
        return body

    def comment(self) -> bytes:
        return b""

    def frame(self, data: bytes, name: str = "") -> bytes:
        if data.startswith(b'{"status"'):
            return _HEAD.pack(True, len(data)) + data
        try:
            message = self.protocol().pack_event(data, whole=not self.question.stream)
        except ValueError:  # JSON that breaks off is to be a message that does
            message = data
        return _HEAD.pack(False, len(message)) + message

    @classmethod
    def refusal(cls, message: str, kind: str, status: int) -> Json:
        return {"status": _STATUSES[status], "details": message}

    def failure(self, message: str) -> Json:
        return self.refusal(message, "server_error", 500)

    @classmethod
    def refused(cls, message: str, kind: str, status: int) -> bytes:
        """Return what is said of a request that cannot be used."""
        said = orjson.dumps(cls.refusal(message, kind, status))
        return _HEAD.pack(True, len(said)) + said


@cache
def _protocol(name: str) -> type[MessageProtocol]:
    return cast("type[MessageProtocol]", load_protocol(name))


def frames_in(data: bytes) -> Iterator[tuple[bool, bytes, int]]:
    """Yield (whether it is a status, what it says, where it ends) of each whole frame."""
    at = 0
    while at + _HEAD.size <= len(data):
        is_status, size = _HEAD.unpack_from(data, at)
        at += _HEAD.size + size
        if at <= len(data):
            yield is_status, data[at - size : at], at


class _Tokens(ByGrpc):
    """Token ids, one message for each event, and one to end with."""

    prompt = "text"

    @classmethod
    def prompt_length(cls, fields: Json) -> int:
        return len((fields.get("tokenized") or {}).get("input_ids", ()))

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        new = text.count(self.behaviour.text) or 1
        return [{**self._named(), "chunk": {"token_ids": [_ID] * new, **self._counts(self.stated(new, so_far))}}]

    def closing(self, tokens: int, finish: str) -> list[Json]:
        return [self._complete(self.stated(1, tokens), finish)]

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        return self._complete(tokens, finish)

    def _complete(self, tokens: int, finish: str) -> Json:
        ended = {"output_ids": [_ID] * tokens, "finish_reason": finish, **self._counts(tokens)}
        return {**self._named(), "complete": ended}

    def _counts(self, tokens: int) -> Json:
        counts = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.count(tokens)}
        return {**counts, "cached_tokens": self.question.cached_tokens} if self.states_usage else {}

    def _named(self) -> Json:
        return {}

    def stated(self, new: int, so_far: int) -> int:
        """Return the tokens that a message states, of those that it brought and of all so far."""
        raise NotImplementedError


class VllmTokens(_Tokens):
    """Counts of each message alone."""

    plugin = "vllm_grpc"
    limits = ("sampling_params.max_tokens",)

    def stated(self, new: int, so_far: int) -> int:
        return new


class SGLangTokens(_Tokens):
    """Running counts; the last message repeats all ids."""

    plugin = "sglang_grpc"
    limits = ("sampling_params.max_new_tokens",)
    counts = True

    def stated(self, new: int, so_far: int) -> int:
        return so_far

    def _named(self) -> Json:
        return {"request_id": self.request_id}


class KServeTensors(ByGrpc):
    """Triton: texts in tensors, and a message without outputs to end with where it is asked for."""

    plugin = "kserve_grpc"
    prompt = "text_input"

    @classmethod
    def asked(cls, body: Json, path: str) -> Json:
        inputs = {each["name"]: each["data"][0] for each in body.get("inputs", ()) if each.get("data")}
        ends = (body.get("parameters") or {}).get("triton_enable_empty_final_response", False)
        model = body.get("model_name", "")
        return {**inputs, "model": model, "stream": path.endswith("ModelStreamInfer"), "usage": ends}

    @classmethod
    def usage_asked(cls, fields: Json) -> tuple[bool, bool]:
        return bool(fields["usage"]), False

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        return [self.body(text, "", so_far, "")]

    def closing(self, tokens: int, finish: str) -> list[Json]:
        ended = {"parameters": {"triton_final_response": True}}
        return [{**self._named(), **ended}] if self.question.usage else []

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        output = {"name": "text_output", "datatype": "BYTES", "data": [thought + text]}
        return {**self._named(), "outputs": [output]}

    def _named(self) -> Json:
        return {"model_name": self.question.model, "id": self.request_id}

    def failure(self, message: str) -> Json:
        return {"error": message}


GRPC_FORMATS: Final[Mapping[str, type[ByGrpc]]] = {
    "/vllm.grpc.engine.VllmEngine/Generate": VllmTokens,
    "/sglang.grpc.scheduler.SglangScheduler/Generate": SGLangTokens,
    "/inference.GRPCInferenceService/ModelStreamInfer": KServeTensors,
    "/inference.GRPCInferenceService/ModelInfer": KServeTensors,
}
"""By the method that is called."""
