#!/bin/sh
# Error rates of routers are read from vllm_router_request_errors_total and smg_router_request_errors_total.
#
# Seen with vllm-router 0.1.17 and sglang-router 0.3.2, as they come, in front of an engine that answers every request
# with 503: the client has two answers of 503, and neither router counts an error of a request. vLLM's does not even
# count the two among its requests. They are in ..._retries_exhausted_total alone, also with --disable-retries. A GET of
# /version, which the engine does not have, is an error of a request to vLLM's.
#
# Prints:
#     vllm-router 0.1.17: answers 503 503, request errors 1 (/version 1), requests 0, retries exhausted 2
#     sglang-router 0.3.2: answers 503 503, request errors 0, requests 2, retries exhausted 2
# Exit 0: it is still so. 1: it has changed.
set -eu
folder=$(mktemp -d)
trap 'for each in "$folder"/*.pid; do kill "$(cat "$each")" 2>/dev/null || :; done; rm -rf "$folder"' EXIT
cat >"$folder/engine.py" <<'END'
import pathlib
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Engine(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        known = self.path in ("/health", "/v1/models")
        self.answer(200 if known else 404, b'{"object": "list", "data": [{"id": "m", "object": "model"}]}')

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(503, b'{"error": {"message": "overloaded", "type": "server_error", "code": 503}}')

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Engine)
pathlib.Path(sys.argv[1]).write_text(str(server.server_port))
server.serve_forever()
END
cat >"$folder/ask.py" <<'END'
import json
import re
import sys
import time
import urllib.error
import urllib.request
from importlib.metadata import version

name, port, metrics = sys.argv[1:]
where = f"http://127.0.0.1:{port}"


def status(path, body=None):
    asked = urllib.request.Request(where + path, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


for attempt in range(200):
    try:
        if status("/readiness" if name == "sglang-router" else "/health") == 200:
            break
    except OSError:
        pass
    time.sleep(0.2)
body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}).encode()
if name == "vllm-router":
    status("/version")
answers = [status("/v1/chat/completions", body) for _ in range(2)]
with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics") as page:
    text = page.read().decode()


def count(pattern):
    return sum(int(value) for value in re.findall(rf"^\w*{pattern}.*\}} (\d+)$", text, re.MULTILINE))


errors, of_version = count(r"request_errors_total\{"), count(r'request_errors_total\{route="/version"')
requests, exhausted = count(r"router_requests_total\{"), count(r"retries_exhausted_total\{")
of_it = f" (/version {of_version})" if of_version else ""
print(f"{name} {version(name)}: answers {' '.join(map(str, answers))}, request errors {errors}{of_it}, "
      f"requests {requests}, retries exhausted {exhausted}")
expected = {"vllm-router": (1, 1, 0, 2), "sglang-router": (0, 0, 2, 2)}[name]
sys.exit(answers != [503] * 2 or (errors, of_version, requests, exhausted) != expected)
END
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
python3 "$folder/engine.py" "$folder/engine.port" & echo $! >"$folder/engine.pid"
while [ ! -s "$folder/engine.port" ]; do sleep 0.1; done
code=0
for each in vllm-router=0.1.17 sglang-router=0.3.2; do
    name=${each%=*} port=$(free) metrics=$(free)
    python3 -m venv "$folder/$name"
    "$folder/$name/bin/pip" install -q --disable-pip-version-check "$name==${each#*=}"
    launch=; [ "$name" = vllm-router ] || launch=launch
    # shellcheck disable=SC2086  # no word where there is none
    "$folder/$name/bin/$name" $launch --host 127.0.0.1 --port "$port" --prometheus-host 127.0.0.1 \
        --prometheus-port "$metrics" --worker-urls "http://127.0.0.1:$(cat "$folder/engine.port")" \
        >"$folder/$name.log" 2>&1 & echo $! >"$folder/$name.pid"
    "$folder/$name/bin/python" "$folder/ask.py" "$name" "$port" "$metrics" || code=1
done
exit $code
