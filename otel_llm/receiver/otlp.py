"""An OTLP receiver in this process: gRPC and HTTP (protobuf or JSON, gzip or not) on loopback.

For programs without a collector, and for tests. It listens on free ports unless ports are given, and runs in threads
of its own. `OtlpReceiver` keeps what it receives in memory (see `received`); `OtlpServer` gives it to somebody else. It
does not authenticate clients, which is why it listens on loopback by default.
"""

import asyncio
import base64
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol, Self

import grpc
import orjson
from aiohttp import web
from google.protobuf.json_format import MessageToJson, ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from otel_llm.receiver.received import Received

__all__ = ["OtlpReceiver", "OtlpServer", "Taker"]

_LIMIT: Final = 64 << 20
_IDS: Final = frozenset(("traceId", "spanId", "parentSpanId"))


class Taker(Protocol):
    """Takes what arrives, from any thread."""

    def take_spans(self, batch: Iterable[ResourceSpans]) -> None:
        """Take the spans of an OTLP request."""
        ...

    def take_metrics(self, batch: Iterable[ResourceMetrics]) -> None:
        """Take the data points of an OTLP request."""
        ...


class _Traces(trace_service_pb2_grpc.TraceServiceServicer):
    request, response = trace_service_pb2.ExportTraceServiceRequest, trace_service_pb2.ExportTraceServiceResponse

    def __init__(self, taker: Taker) -> None:
        self._taker = taker

    def Export(self, request: Any, context: Any = None) -> Any:  # noqa: N802  # the name in the OTLP service
        self._taker.take_spans(request.resource_spans)
        return self.response()


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    request, response = (
        metrics_service_pb2.ExportMetricsServiceRequest,
        metrics_service_pb2.ExportMetricsServiceResponse,
    )

    def __init__(self, taker: Taker) -> None:
        self._taker = taker

    def Export(self, request: Any, context: Any = None) -> Any:  # noqa: N802  # the name in the OTLP service
        self._taker.take_metrics(request.resource_metrics)
        return self.response()


class _Logs(logs_service_pb2_grpc.LogsServiceServicer):
    """Takes logs and leaves them: a program that also exports some is not to complain about it."""

    request, response = logs_service_pb2.ExportLogsServiceRequest, logs_service_pb2.ExportLogsServiceResponse

    def Export(self, request: Any, context: Any = None) -> Any:  # noqa: N802  # the name in the OTLP service
        return self.response()


class OtlpServer:
    """A server that runs while its `with` block does, or from `start` to `stop`, and gives `taker` what it receives.

    grpc_endpoint, http_endpoint: base URLs to give to an exporter, once started
    """

    def __init__(self, taker: Taker, *, host: str = "127.0.0.1", grpc_port: int = 0, http_port: int = 0) -> None:
        self._host, self._grpc_port, self._http_port = host, grpc_port, http_port
        self._services = {"traces": _Traces(taker), "metrics": _Metrics(taker), "logs": _Logs()}
        self._grpc: Any = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="otlp-receiver", daemon=True)
        self._runner: web.AppRunner | None = None
        self.grpc_endpoint = self.http_endpoint = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen. Raises OSError when a port that was asked for is taken."""
        self._thread.start()
        try:
            port = asyncio.run_coroutine_threadsafe(self._serve_http(), self._loop).result()
            self.http_endpoint = f"http://{self._host}:{port}"
            self.grpc_endpoint = f"http://{self._host}:{self._serve_grpc()}"
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop listening."""
        if self._grpc is not None:
            self._grpc.stop(None).wait()
        if self._thread.is_alive():
            if self._runner is not None:
                asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    def _serve_grpc(self) -> int:
        limit = [("grpc.max_receive_message_length", _LIMIT), ("grpc.so_reuseport", 0)]
        server = grpc.server(ThreadPoolExecutor(2, "otlp-receiver"), options=limit)
        # what is generated for gRPC has no types
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self._services["traces"], server)  # type: ignore[no-untyped-call]
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(self._services["metrics"], server)  # type: ignore[no-untyped-call]
        logs_service_pb2_grpc.add_LogsServiceServicer_to_server(self._services["logs"], server)  # type: ignore[no-untyped-call]
        try:
            port: int = server.add_insecure_port(f"{self._host}:{self._grpc_port}")
        except RuntimeError as error:
            raise OSError(f"expected to listen on {self._host}:{self._grpc_port}, got {error}") from error
        server.start()
        self._grpc = server
        return port

    async def _serve_http(self) -> int:
        app = web.Application(client_max_size=_LIMIT)
        app.router.add_post("/v1/{signal:traces|metrics|logs}", self._post)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._http_port)
        await site.start()
        port: int = self._runner.addresses[0][1]
        return port

    async def _post(self, request: web.Request) -> web.Response:
        service: Any = self._services[request.match_info["signal"]]
        body = await request.read()  # unzipped already
        in_json = request.content_type == "application/json"
        try:
            message = _from_json(body, service.request()) if in_json else service.request.FromString(body)
        except (DecodeError, ParseError, ValueError, TypeError, RecursionError) as error:
            return web.Response(status=400, text=f"expected an OTLP request, got {error}")
        answer = service.Export(message)
        if in_json:
            return web.Response(text=MessageToJson(answer), content_type="application/json")
        return web.Response(body=answer.SerializeToString(), content_type="application/x-protobuf")


class OtlpReceiver(OtlpServer, Received):
    """A server that keeps what it receives in memory; when it has stopped, it can still be asked about it."""

    def __init__(self, *, host: str = "127.0.0.1", grpc_port: int = 0, http_port: int = 0) -> None:
        Received.__init__(self)
        OtlpServer.__init__(self, self, host=host, grpc_port=grpc_port, http_port=http_port)


def _from_json(body: bytes, message: Any) -> Any:
    return ParseDict(_with_ids(orjson.loads(body)), message, ignore_unknown_fields=True)


def _with_ids(node: Any) -> Any:
    """Turn ids from hex, as OTLP writes them, to base64, as every other protobuf JSON does."""
    if isinstance(node, list):
        return [_with_ids(item) for item in node]
    if isinstance(node, dict):
        return {key: _id(value) if key in _IDS else _with_ids(value) for key, value in node.items()}
    return node


def _id(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"an id that is {value!r}")
    return base64.b64encode(bytes.fromhex(value)).decode()
