#!/bin/sh
# Instrumentations of the openai package replace `Completions.create`: whatever asks through it has a span.
#
# litellm 1.103.7 asks an OpenAI-compatible server through it. litellm 1.110.2, with the same openai 2.54.0, sends the
# request with `client.post("/chat/completions")`, so that an instrumentation of openai sees no call, and a program that
# raises litellm's version alone loses those spans without a word.
#
# Prints:
#     litellm 1.103.7: 1 request, create was called 1 time
#     litellm 1.110.2: 1 request, create was called 0 times
# Exit 0: it is still so. 1: it has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/ask.py" <<'END'
import http.server
import json
import sys
import threading
from importlib.metadata import version

import litellm
from openai.resources.chat.completions import Completions

seen = {"requests": 0, "create": 0}
ANSWER = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        seen["requests"] += 1
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Watched:
    """with_raw_response makes its functions of `create`, so that one place sees both."""

    before = Completions.create

    def create(self, *args, **options):
        seen["create"] += 1
        return Watched.before(self, *args, **options)


Completions.create = Watched.create
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
litellm.completion(
    model="openai/m", messages=[{"role": "user", "content": "hi"}], api_key="x",
    api_base=f"http://127.0.0.1:{server.server_port}/v1",
)
times = "time" if seen["create"] == 1 else "times"
print(f"litellm {version('litellm')}: {seen['requests']} request, create was called {seen['create']} {times}")
sys.exit((seen["requests"], seen["create"]) != (1, int(sys.argv[1])))
END
for pair in 1.103.7=1 1.110.2=0; do
    python3 -m venv "$folder/${pair%=*}"
    "$folder/${pair%=*}/bin/pip" install -q --disable-pip-version-check "litellm==${pair%=*}" openai==2.54.0
    env -u HTTP_PROXY -u HTTPS_PROXY -u http_proxy -u https_proxy LITELLM_LOCAL_MODEL_COST_MAP=True \
        timeout 120 "$folder/${pair%=*}/bin/python" "$folder/ask.py" "${pair#*=}"
done
