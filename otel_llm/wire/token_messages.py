"""What engines speak by gRPC behind a gateway that has the tokenizer: token ids come back, and no text.

Source: vllm_engine.proto and sglang_scheduler.proto of smg-grpc-proto 0.4.28, the servicers of smg-grpc-servicer
0.14.1 and a real vLLM 0.32, read and seen in 2026. `completion_tokens` is of the chunk in one and running in the other,
and the message that ends an answer repeats the last ids of a stream, or all of them: so the ids of chunks are counted.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final
from uuid import uuid4

import msgspec
import orjson

from otel_llm.errors import ConfigError
from otel_llm.record import OTHER, TEXT
from otel_llm.wire.messages import MessageProtocol
from otel_llm.wire.protobuf import fill, message_classes, parse, values_in
from otel_llm.wire.protocol import NOTHING, Ask, Delta, WireRequest

__all__ = ["TokenMessages"]

_FAILED: Final = ("abort", "error")
_CLASSES: Final[dict[str, dict[str, Any]]] = {}


class _Chunk(msgspec.Struct, gc=False):
    token_ids: list[int] = []
    prompt_tokens: int | None = None
    cached_tokens: int = 0
    reasoning_tokens: int | None = None
    index: int = 0


class _Complete(msgspec.Struct, gc=False):
    output_ids: list[int] = []
    finish_reason: str = ""
    prompt_tokens: int | None = None
    cached_tokens: int = 0
    reasoning_tokens: int | None = None
    index: int = 0


class _Event(msgspec.Struct, gc=False):
    request_id: str | None = None
    chunk: _Chunk | None = None
    complete: _Complete | None = None


_decode = msgspec.json.Decoder(_Event).decode


class TokenMessages(MessageProtocol):
    """The method `Generate` of an engine. A subclass says what its messages are and where the prompt goes.

    package: of the messages
    fields:  of `Request`, `Response` and what is inside them, as `otel_llm.wire.protobuf.message_classes` takes them
    beside:  parameters that stand beside `sampling_params`, where all others go
    sampled: what `sampling_params` say unless the user says otherwise
    """

    operation = "text_completion"
    as_ids: ClassVar[tuple[str, ...]] = ("answer",)
    package: ClassVar[str]
    fields: ClassVar[Mapping[str, Sequence[str]]]
    beside: ClassVar[tuple[str, ...]]
    sampled: ClassVar[Mapping[str, Any]] = {}

    __slots__ = ("_open", "_reasons")

    def __init__(self) -> None:
        super().__init__()
        self._open: dict[int, bool] = {}  # the answers of which a message came, and whether each goes on
        self._reasons: list[str] = []

    @classmethod
    def prompt(cls, ask: Ask, ids: Sequence[int]) -> Mapping[str, Any]:
        """Return the members of a request that hold what is asked; `ids` are what the user gave, or a tokenizer."""
        raise NotImplementedError(f"{cls.__name__}.prompt")

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        given = {name: value for name, value in ask.parameters.items() if value is not None}
        ids = given.pop("input_ids", None) or ask.token_ids
        own = {name: given.pop(name) for name in cls.beside if name in given}
        removed = [name for name, value in ask.parameters.items() if value is None]
        sampling = {name: value for name, value in {**cls.sampled, **given}.items() if name not in removed}
        body = {**cls.prompt(ask, ids), **own, "sampling_params": sampling, "stream": ask.stream}
        try:
            fill(cls._class("Request"), body)
        except (AttributeError, TypeError, ValueError) as error:
            raise ConfigError(f"parameters that {cls.name} has", error, "leave it out of --parameters") from None
        return WireRequest(orjson.dumps(body))

    @classmethod
    def _class(cls, name: str) -> Any:
        """Return an empty message."""
        return cls._classes()[name]()

    @classmethod
    def _classes(cls) -> dict[str, Any]:
        if cls.package not in _CLASSES:
            _CLASSES[cls.package] = message_classes(cls.package, cls.fields)
        return _CLASSES[cls.package]

    # -- as messages -------------------------------------------------------------------------------------------

    @classmethod
    def prepare(cls) -> None:
        cls._classes()

    @classmethod
    def pack(cls, body: bytes) -> bytes:
        """Return the message of a request. Each has an id of its own: two of one id are one to some engines."""
        message = fill(cls._class("Request"), {"request_id": uuid4().hex, **orjson.loads(body)})
        packed: bytes = message.SerializeToString()
        return packed

    @classmethod
    def unpack(cls, message: bytes) -> bytes:
        answer = values_in(parse(cls._classes()["Response"], message))
        if not {"chunk", "complete"} & answer.keys():
            raise ValueError(f"expected a message of the protocol, got {len(message)} bytes of another")
        return orjson.dumps(answer)

    @classmethod
    def unpack_request(cls, message: bytes) -> bytes:
        return orjson.dumps(values_in(parse(cls._classes()["Request"], message)))

    @classmethod
    def pack_event(cls, event: bytes, *, whole: bool = False) -> bytes:
        packed: bytes = fill(cls._class("Response"), orjson.loads(event)).SerializeToString()
        return packed

    # -- as an answer ------------------------------------------------------------------------------------------

    def decode(self, event: bytes) -> Delta | None:
        chunk = _decode(event)
        self.said.response_id = chunk.request_id or self.said.response_id
        if chunk.chunk is not None:
            self._open[chunk.chunk.index] = True
            return self._brought(chunk.chunk, len(chunk.chunk.token_ids)) or NOTHING
        if chunk.complete is None:
            raise ValueError("expected a chunk or the end of an answer, got neither")
        told = chunk.complete
        new = 0 if told.index in self._open else len(told.output_ids)
        self._open[told.index] = False
        self._end(told.finish_reason)
        return self._brought(told, new) or (OTHER, "", 0)

    def _brought(self, part: _Chunk | _Complete, tokens: int) -> Delta | None:
        """Take the counts of a message that brought so many tokens; return what it brought, None for none."""
        said = self.said
        said.input_tokens = part.prompt_tokens or said.input_tokens
        said.cached_tokens = part.cached_tokens
        said.reasoning_tokens = part.reasoning_tokens or said.reasoning_tokens
        said.output_tokens = (said.output_tokens or 0) + tokens
        return (TEXT, "", tokens) if tokens else None

    def _end(self, reason: str) -> None:
        """Take why one of the answers ended: the whole is over when none goes on."""
        if reason in _FAILED:
            self.said.error = reason, f"the answer ended with finish reason {reason!r}"
        elif reason:
            self._reasons.append(reason)
        if not any(self._open.values()):
            reasons, self._reasons = self._reasons, []
            for each in reasons:
                self.said.finish(each)
