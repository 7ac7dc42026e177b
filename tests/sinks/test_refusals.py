"""What a receiver refuses is counted as dropped, although it answers that all is well."""

import http.server
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from otel_llm.providers import build_providers
from otel_llm.sinks import Ended
from otel_llm.sinks.ledger import Ledger
from otel_llm.sinks.otel import OTelSink
from otel_llm.testing import timeline

SPANS = 10
WORDS = "over the limit"


def traces(refused: int) -> Any:
    said = trace_service_pb2.ExportTracePartialSuccess(rejected_spans=refused, error_message=WORDS)
    return trace_service_pb2.ExportTraceServiceResponse(partial_success=said)


def metrics(refused: int) -> Any:
    said = metrics_service_pb2.ExportMetricsPartialSuccess(rejected_data_points=refused, error_message=WORDS)
    return metrics_service_pb2.ExportMetricsServiceResponse(partial_success=said)


class Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def Export(self, request: Any, context: Any) -> Any:
        return traces(3)


class Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def Export(self, request: Any, context: Any) -> Any:
        return metrics(2)


@pytest.fixture
def over_grpc() -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(), server)  # type: ignore[no-untyped-call]
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Metrics(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop(None)


Answer = Callable[[str], tuple[int, dict[str, str], bytes]]


@pytest.fixture
def over_http() -> Iterator[Callable[[Answer], str]]:
    """Starts a server that answers as it is told, by the path that was asked for; gives its URL."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def serve(answer: Answer) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                status, headers, body = answer(self.path)
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def export(endpoint: str, protocol: Any) -> Ledger:
    providers = build_providers("app", endpoint, protocol)
    OTelSink(providers.tracer_provider, providers.meter_provider).take(Ended.of(*[timeline("r.a.bc|")] * SPANS))
    return providers.shutdown()


def check_partly_refused(ledger: Ledger) -> None:
    spans, points = ledger.spans, ledger.points
    assert (spans.recorded, spans.exported, spans.dropped) == (SPANS, SPANS - 3, 3)
    assert (points.exported, points.dropped) == (points.recorded - 2, 2)


def test_what_a_partial_success_rejects_is_dropped_over_grpc(over_grpc: str, caplog: pytest.LogCaptureFixture) -> None:
    check_partly_refused(export(over_grpc, "grpc"))
    said = [record.getMessage() for record in caplog.records if record.name == "otel_llm"]
    what = "what it refuses is counted as dropped, and this is said once"
    assert said == [
        f"the receiver refused 3 spans: {WORDS}; {what}",
        f"the receiver refused 2 data points: {WORDS}; {what}",
    ]


def test_what_a_partial_success_rejects_is_dropped_over_http(over_http: Callable[[Answer], str]) -> None:
    def answer(path: str) -> tuple[int, dict[str, str], bytes]:
        message = traces(3) if path == "/v1/traces" else metrics(2)
        return 200, {"content-type": "application/x-protobuf"}, message.SerializeToString()

    check_partly_refused(export(over_http(answer), "http/protobuf"))


def test_a_partial_success_may_be_json(over_http: Callable[[Answer], str]) -> None:
    def answer(path: str) -> tuple[int, dict[str, str], bytes]:
        refused = '"rejectedSpans": "3"' if path == "/v1/traces" else '"rejectedDataPoints": 2'
        return 200, {"content-type": "application/json"}, f'{{"partialSuccess": {{{refused}}}}}'.encode()

    check_partly_refused(export(over_http(answer), "http/protobuf"))


def test_a_redirect_has_taken_nothing(over_http: Callable[[Answer], str], caplog: pytest.LogCaptureFixture) -> None:
    ledger = export(over_http(lambda path: (307, {"location": "http://elsewhere/"}, b"")), "http/protobuf")
    assert (ledger.spans.exported, ledger.spans.dropped) == (0, SPANS)
    assert ledger.points.exported == 0
    assert ledger.points.dropped == ledger.points.recorded > 0
    assert "refused all spans: status 307, which points to http://elsewhere/" in caplog.text


@pytest.mark.parametrize("body", [b"", b"\xff\xff", b"{}", b'{"partialSuccess": {}}', b"[]", b"thank you"])
@pytest.mark.parametrize("kind", ["application/x-protobuf", "application/json", "text/plain"])
def test_an_answer_that_rejects_nothing_has_taken_all(
    over_http: Callable[[Answer], str], body: bytes, kind: str
) -> None:
    ledger = export(over_http(lambda path: (200, {"content-type": kind}, body)), "http/protobuf")
    assert (ledger.spans.exported, ledger.spans.dropped) == (SPANS, 0)
    assert ledger.points.exported == ledger.points.recorded > 0


def test_what_was_refused_before_it_was_taken_after_all_is_not_dropped(over_http: Callable[[Answer], str]) -> None:
    asked: list[str] = []

    def answer(path: str) -> tuple[int, dict[str, str], bytes]:
        asked.append(path)
        return (503 if asked.count(path) == 1 else 200), {"retry-after": "0"}, traces(3).SerializeToString()[:0]

    ledger = export(over_http(answer), "http/protobuf")
    assert (ledger.spans.exported, ledger.spans.dropped) == (SPANS, 0)
