"""A server of KServe's protocol by grpcio, whose messages are put together by hand: it shares no line with the plugin.

The name of the model says how it answers.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc

from otel_llm.clock import now_ns
from tests.load.grpc_serving import GrpcServing

TOKENS = 8
TTFT_S, ITL_S = 0.06, 0.01


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def put(number: int, payload: bytes | str | int) -> bytes:
    """Return one field of a message."""
    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    payload = payload.encode() if isinstance(payload, str) else payload
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def answer(words: str | None, *, final: bool = False) -> bytes:
    """Return a ModelInferResponse: the text behind its length, as Triton sends it."""
    flag = put(4, put(1, "triton_final_response") + put(2, put(1, int(final))))
    head = put(1, "tok") + put(3, "r-1") + flag
    if words is None:
        return head
    raw = words.encode()
    return (
        head
        + put(5, put(1, "text_output") + put(2, "BYTES") + put(3, b"\x01"))
        + put(6, len(raw).to_bytes(4, "little") + raw)
    )


def in_stream(words: str | None = None, *, final: bool = False, error: str = "") -> bytes:
    """Return a ModelStreamInferResponse."""
    return put(1, error) if error else put(2, answer(words, final=final))


@dataclass
class Asked:
    """One call: what came, and when each message was handed to grpcio."""

    message: bytes
    metadata: dict[str, str]
    came_ns: int
    sent_ns: list[int] = field(default_factory=list)
    cancelled: bool = False
    left_s: float | None = None


class GrpcServer(GrpcServing):
    """The service, whose requests are in `asked`."""

    def __init__(self, credentials: Any = None) -> None:
        super().__init__(credentials)
        self.asked: list[Asked] = []

    def add_to(self, server: Any) -> None:
        handlers = {
            "ModelStreamInfer": grpc.stream_stream_rpc_method_handler(self._stream),
            "ModelInfer": grpc.unary_unary_rpc_method_handler(self._whole),
        }
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers),)
        )

    def _note(self, message: bytes, context: Any) -> Asked:
        metadata = {name: value for name, value in context.invocation_metadata() if isinstance(value, str)}
        left_s = context.time_remaining()
        self.asked.append(Asked(message, metadata, now_ns(), left_s=left_s))
        return self.asked[-1]

    async def _whole(self, message: bytes, context: Any) -> bytes:
        self._note(message, context)
        return answer("hello")

    async def _stream(self, messages: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for message in messages:
            asked = self._note(message, context)
            model = next(name for name in MODELS if put(1, name) == message[: len(put(1, name))])
            try:
                async for reply in MODELS[model](context):
                    asked.sent_ns.append(now_ns())
                    yield reply
            except asyncio.CancelledError:
                asked.cancelled = True
                raise


async def _tokens(context: Any) -> AsyncIterator[bytes]:
    await asyncio.sleep(TTFT_S)
    for number in range(TOKENS):
        yield in_stream(f"t{number} ")
        await asyncio.sleep(ITL_S)
    yield in_stream(final=True)


async def _with_last(context: Any) -> AsyncIterator[bytes]:
    yield in_stream("a")
    yield in_stream("b", final=True)


async def _error_in_the_middle(context: Any) -> AsyncIterator[bytes]:
    yield in_stream("a")
    yield in_stream(error="boom in the middle")


async def _nothing(context: Any) -> AsyncIterator[bytes]:
    return
    yield b""


async def _refuses(context: Any) -> AsyncIterator[bytes]:
    await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "come back later")
    yield b""


async def _breaks_off(context: Any) -> AsyncIterator[bytes]:
    yield in_stream("a")
    await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")


async def _garbage(context: Any) -> AsyncIterator[bytes]:
    yield b"\xff\xff\xff"


async def _huge(context: Any) -> AsyncIterator[bytes]:
    yield in_stream("x" * 8_000_000)
    yield in_stream(final=True)


async def _stalls(context: Any) -> AsyncIterator[bytes]:
    yield in_stream("a")
    await asyncio.sleep(600)


MODELS = {
    "tok": _tokens,
    "last": _with_last,
    "error": _error_in_the_middle,
    "nothing": _nothing,
    "refuses": _refuses,
    "breaks_off": _breaks_off,
    "garbage": _garbage,
    "huge": _huge,
    "stalls": _stalls,
}
