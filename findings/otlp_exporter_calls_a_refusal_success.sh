#!/bin/sh
# An OTLP receiver may answer "200, and I took only a part" (`partial_success`), and a proxy may answer with a redirect.
#
# Seen with opentelemetry-exporter-otlp-proto-http 1.45.1 and opentelemetry-exporter-otlp-proto-grpc 1.45.1:
# `export()` returns SUCCESS for a partial success that rejects every span, and over HTTP for status 307 as well, whose
# Location is not asked. Nothing is logged. Whoever counts exports by the result counts spans that nobody has.
#
# Prints, of one span each time:
#     http, partial success that rejects 1 of 1: SUCCESS, 0 lines logged
#     grpc, partial success that rejects 1 of 1: SUCCESS, 0 lines logged
#     http, 307 to elsewhere:                    SUCCESS, 0 lines logged, 0 requests there
# Exit 0: it is still so. 1: it has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    opentelemetry-exporter-otlp-proto-http==1.45.1 opentelemetry-exporter-otlp-proto-grpc==1.45.1
env -u HTTP_PROXY -u HTTPS_PROXY -u http_proxy -u https_proxy timeout 60 "$folder/venv/bin/python" - <<'END'
import http.server
import logging
import sys
import threading
from concurrent import futures

import grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OverHttp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

logged, elsewhere = [], []
handler = logging.Handler()
handler.emit = logged.append
logging.getLogger().addHandler(handler)
refused = trace_service_pb2.ExportTraceServiceResponse()
refused.partial_success.rejected_spans, refused.partial_success.error_message = 1, "over the limit"


def serve(status, headers, body, asked):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v1/traces"


class Refuses(trace_service_pb2_grpc.TraceServiceServicer):
    def Export(self, request, context):
        return refused


server = grpc.server(futures.ThreadPoolExecutor(1))
trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Refuses(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()

kept, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(SimpleSpanProcessor(kept))
provider.get_tracer("finding").start_span("one").end()
spans = kept.get_finished_spans()

proto = {"content-type": "application/x-protobuf"}
there = serve(200, proto, b"", elsewhere)
tries = (
    ("http, partial success that rejects 1 of 1:", OverHttp(serve(200, proto, refused.SerializeToString(), []))),
    ("grpc, partial success that rejects 1 of 1:", OverGrpc(f"http://127.0.0.1:{port}", insecure=True)),
    ("http, 307 to elsewhere:                   ", OverHttp(serve(307, {"location": there}, b"", []))),
)
same = True
for what, exporter in tries:
    before = len(logged)
    result = exporter.export(spans).name
    more = f", {len(elsewhere)} requests there" if "307" in what else ""
    print(f"{what} {result}, {len(logged) - before} lines logged{more}")
    same = same and result == "SUCCESS" and len(logged) == before and not elsewhere
sys.exit(not same)
END
