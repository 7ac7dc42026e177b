"""Servers of vLLM's and SGLang's gRPC, made with the stubs that their gateway has: they share no line with the plugins.

The prompt of a request says how vLLM's answers.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from smg_grpc_proto.generated import (
    sglang_scheduler_pb2,
    sglang_scheduler_pb2_grpc,
    vllm_engine_pb2,
    vllm_engine_pb2_grpc,
)

from otel_llm.clock import now_ns
from tests.load.grpc_serving import GrpcServing

__all__ = ["TOKENS", "EngineServer"]

TOKENS = 9
TTFT_S, ITL_S = 0.06, 0.01


class Vllm(vllm_engine_pb2_grpc.VllmEngineServicer):  # type: ignore[misc]
    """Counts of each chunk alone; the last message repeats the last ids."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.sent_ns: list[list[int]] = []

    async def Generate(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.asked.append(request)
        if request.text == "refused":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the prompt is too long")
        if request.text == "nothing":
            return
        if not request.stream:
            yield self._end(list(range(TOKENS)))
            return
        sent = list[int]()
        self.sent_ns.append(sent)
        await asyncio.sleep(TTFT_S)
        for number in range(TOKENS):
            sent.append(now_ns())
            chunk = {"token_ids": [number], "prompt_tokens": 7, "completion_tokens": 1, "cached_tokens": 3}
            yield vllm_engine_pb2.GenerateResponse(chunk=vllm_engine_pb2.GenerateStreamChunk(**chunk))
            if request.text == "cut":
                return
            await asyncio.sleep(ITL_S)
        yield self._end([TOKENS - 1], "abort" if request.text == "aborted" else "length")

    def _end(self, ids: list[int], reason: str = "length") -> Any:
        ended = {"output_ids": ids, "finish_reason": reason, "prompt_tokens": 7, "completion_tokens": len(ids)}
        return vllm_engine_pb2.GenerateResponse(complete=vllm_engine_pb2.GenerateComplete(**ended, cached_tokens=3))


class SGLang(sglang_scheduler_pb2_grpc.SglangSchedulerServicer):  # type: ignore[misc]
    """Running counts; the last message repeats all ids."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def Generate(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.asked.append(request)
        counts = {"prompt_tokens": len(request.tokenized.input_ids)}
        for number in range(0, TOKENS, 3):
            chunk = {"token_ids": [1, 2, 3], "completion_tokens": number + 3, **counts}
            yield sglang_scheduler_pb2.GenerateResponse(
                request_id=request.request_id, chunk=sglang_scheduler_pb2.GenerateStreamChunk(**chunk)
            )
            await asyncio.sleep(ITL_S)
        ended = {
            "output_ids": [1, 2, 3] * (TOKENS // 3),
            "completion_tokens": TOKENS,
            "finish_reason": "stop",
            **counts,
        }
        yield sglang_scheduler_pb2.GenerateResponse(
            request_id=request.request_id, complete=sglang_scheduler_pb2.GenerateComplete(**ended)
        )


class EngineServer(GrpcServing):
    """Both services on one port."""

    def __init__(self) -> None:
        super().__init__()
        self.vllm, self.sglang = Vllm(), SGLang()

    @property
    def url(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    def add_to(self, server: Any) -> None:
        vllm_engine_pb2_grpc.add_VllmEngineServicer_to_server(self.vllm, server)
        sglang_scheduler_pb2_grpc.add_SglangSchedulerServicer_to_server(self.sglang, server)
