#!/bin/sh
# A router adds its own time to the first token: some milliseconds, it is said, and benchmarks are run through it.
#
# Seen on Linux with sglang-router 0.3.2 and an engine that sends its head at once, its first token 5 ms later and one
# each 5 ms after that, and a client that asks again on the same connection as soon as it has its answer: the router
# passes the head on at once, and what follows only when the head is acknowledged, which Linux delays by 40 ms. First
# tokens come after more than 40 ms, with several after them at the same moment, so that time to first token is eight
# times as long and the gaps are half as long as they are. On a new connection for each request, or through vllm-router
# 0.1.17, nothing is kept back.
#
# Prints (the numbers vary; medians of 20 requests):
#     vllm-router 0.1.17, kept connection: 6 ms, 1 token at that moment
#     sglang-router 0.3.2, kept connection: 44 ms, 8 tokens at that moment
#     sglang-router 0.3.2, new connections: 6 ms, 1 token at that moment
# Exit 0: it is still so. 1: it has changed.
set -eu
folder=$(mktemp -d)
trap 'for each in "$folder"/*.pid; do kill "$(cat "$each")" 2>/dev/null || :; done; rm -rf "$folder"' EXIT
cat >"$folder/engine.py" <<'END'
import json
import pathlib
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Engine(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

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
        if self.path != "/v1/chat/completions":
            self.answer(404, b"{}")
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        for number in range(16):
            time.sleep(0.005)
            choice = {"index": 0, "delta": {"content": " word"}, "finish_reason": "stop" if number == 15 else None}
            event = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
            self.send(b"data: " + json.dumps(event).encode() + b"\n\n")
        self.send(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def send(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Engine)
pathlib.Path(sys.argv[1]).write_text(str(server.server_port))
server.serve_forever()
END
cat >"$folder/ask.py" <<'END'
import http.client
import json
import statistics
import sys
import time
from importlib.metadata import version

name, port, keep = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "kept"
body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True})


def ask(connection):
    """Return how long the first token took, ms, and how many came with it."""
    began = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    came = [time.perf_counter() - began for line in answer if line.startswith(b"data: {")]
    return came[0] * 1e3, sum(each < came[0] + 0.001 for each in came)


def new():
    return http.client.HTTPConnection("127.0.0.1", port, timeout=60)


for attempt in range(300):
    try:
        ask(new())
        break
    except (OSError, http.client.HTTPException, IndexError):
        time.sleep(0.2)
connection, seen = new(), []
for request in range(21):
    if not keep:
        connection.close()
        connection = new()
    seen.append(ask(connection))
first, together = (statistics.median(each[part] for each in seen[1:]) for part in (0, 1))
print(f"{name} {version(name)}, {'kept connection' if keep else 'new connections'}: {first:.0f} ms, "
      f"{together:.0f} token{'s' if together > 1 else ''} at that moment")
kept_back = first > 30 and together > 3
sys.exit(kept_back != (name == "sglang-router" and keep))
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
    "$folder/$name/bin/python" "$folder/ask.py" "$name" "$port" kept || code=1
done
"$folder/sglang-router/bin/python" "$folder/ask.py" sglang-router "$port" new || code=1
exit $code
