"""The simulated server by gRPC: each call is a request of the service, on a connection of its own.

A message is sent when it is handed to grpcio, whose thread writes it; the log has that moment.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Self, cast

import grpc
import orjson

from otel_llm.clock import now_ns
from otel_llm.errors import ConfigError
from otel_llm.sim.client_connection import ClientConnection, Request
from otel_llm.sim.formats.by_grpc import GRPC_FORMATS, ByGrpc, frames_in
from otel_llm.sim.service import Service

__all__ = ["GrpcListening"]

_OPTIONS: Final = (("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1))
_CUT: Final = orjson.dumps({"status": "UNAVAILABLE", "details": "the connection was cut"})

_HEALTH: Final = frozenset(
    (
        "/grpc.health.v1.Health/Check",
        "/inference.GRPCInferenceService/ModelReady",
        "/inference.GRPCInferenceService/ServerLive",
        "/inference.GRPCInferenceService/ServerReady",
        "/sglang.grpc.scheduler.SglangScheduler/HealthCheck",
        "/vllm.grpc.engine.VllmEngine/HealthCheck",
    )
)
"""Methods that ask whether the server, or a model of whatever name, is ready."""

_READY: Final = b"\x08\x01"
"""What all of them are answered: the first field is 1, which is true, and to the first of them SERVING."""

Reply = tuple[bool, bytes]
"""(whether it is a status, what it says)"""


class Call:
    """What a `ClientConnection` is to an answer. `replies` has what is to be sent; None ends the call."""

    def __init__(self, spoken: type[ByGrpc], remote: str) -> None:
        self.session = self
        self.spoken, self.remote = spoken, remote
        self.on_lost: Callable[[], None] | None = None
        self.on_stop: Callable[[], None] | None = None
        self.replies: asyncio.Queue[Reply | None] = asyncio.Queue()
        self._rest = b""

    def refused(self, message: str, kind: str, status: int) -> bytes:
        return self.spoken.refused(message, kind, status)

    def send(self, data: bytes) -> None:
        data, end = self._rest + data, 0
        for is_status, said, end in frames_in(data):  # noqa: B007  # where the last whole one ends
            self.replies.put_nowait((is_status, said))
        self._rest = data[end:]

    def blocked(self) -> bool:
        return False  # grpcio holds what the client does not take

    def finished(self, *, keep_alive: bool) -> None:
        self.replies.put_nowait(None)

    def cut(self) -> None:
        self.replies.put_nowait((True, _CUT))

    def left(self) -> None:
        """Take it that nobody waits for the answer."""
        if self.on_lost is not None:
            self.on_lost()


class GrpcListening(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """A service by gRPC. `open` makes it and `close` ends it, both on the loop that serves."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers((self,))
        self.url = ""

    @classmethod
    async def open(cls, service: Service, host: str, port: int) -> Self:
        """Listen on `port`; 0 chooses a free one. Raises ConfigError for an address that cannot be used."""
        if not 0 <= port <= 65535:  # the system would take it modulo 65536
            raise ConfigError(f"an address to listen on as {host}:{port}", port, "choose a --grpc-port of 0 to 65535")
        for spoken in GRPC_FORMATS.values():
            spoken.protocol().prepare()  # no call waits for it
        listening = cls(service)
        name = f"[{host}]" if ":" in host else host
        try:
            port = listening._server.add_insecure_port(f"{name}:{port}")
        except (RuntimeError, OverflowError) as error:
            raise ConfigError(
                f"an address to listen on as {name}:{port}", error, "choose another --grpc-port"
            ) from None
        await listening._server.start()
        listening.url = f"grpc://{name}:{port}"
        return listening

    async def close(self) -> None:
        await self._server.stop(None)

    def service(self, call: Any) -> Any:
        """Return what answers a method, which need not be one of a stream: on the wire one message is a stream too."""
        if call.method in _HEALTH:
            return grpc.unary_unary_rpc_method_handler(_ready)
        spoken = GRPC_FORMATS.get(call.method)
        if spoken is None:
            return None

        async def answer(messages: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            async for message in messages:
                async for reply in self._answer(spoken, call.method, message, context):
                    yield reply

        return grpc.stream_stream_rpc_method_handler(answer)

    async def _answer(self, spoken: type[ByGrpc], path: str, message: bytes, context: Any) -> AsyncIterator[bytes]:
        came = now_ns()
        try:
            body = orjson.dumps(spoken.asked(orjson.loads(spoken.protocol().unpack_request(message)), path))
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        headers = {name: value for name, value in context.invocation_metadata() if isinstance(value, str)}
        call = Call(spoken, context.peer())
        request = Request("POST", path, headers, body, came, keep_alive=True, chunked=False)
        self._service.answer(cast("ClientConnection", call), request)  # it has what an answer needs of one
        try:
            while (reply := await call.replies.get()) is not None:
                is_status, said = reply
                if is_status:
                    status = orjson.loads(said)
                    await context.abort(grpc.StatusCode[status["status"]], status["details"])
                yield said
        finally:
            call.left()


async def _ready(*_: object) -> bytes:
    return _READY
