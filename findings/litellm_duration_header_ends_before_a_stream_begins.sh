#!/bin/sh
# LiteLLM's proxy tells in x-litellm-response-duration-ms how long an answer took; dashboards and clients read it.
#
# Seen with litellm 1.108.7 and a model that sends its head at once, its first token a second later and its last one a
# second after that, as engines do that send the head before they prefill: the proxy holds its own head back until the
# first token is there, and the header says how long the model's head took. A stream of two seconds is one of some
# milliseconds there, and what passed until the answer's head came is neither in it nor in x-litellm-overhead-duration-ms.
#
# Prints:
#     litellm 1.108.7: head after more than 0.9 s: yes, end after more than 1.9 s: yes, header below 0.5 s: yes
# Exit 0: it is still so. 1: it has changed.
set -eu
folder=$(mktemp -d)
trap 'for each in "$folder"/*.pid; do kill "$(cat "$each")" 2>/dev/null || :; done; rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q --disable-pip-version-check "litellm[proxy]==1.108.7"
cat >"$folder/model.py" <<'END'
import json
import pathlib
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Model(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.flush()
        for text, reason in (("one", None), (" two", "stop")):
            time.sleep(1)
            choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": reason}
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
pathlib.Path(sys.argv[1]).write_text(str(server.server_port))
server.serve_forever()
END
"$folder/v/bin/python" "$folder/model.py" "$folder/model.port" & echo $! >"$folder/model.pid"
while [ ! -s "$folder/model.port" ]; do sleep 0.1; done
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$folder/config.yaml" <<END
model_list:
  - model_name: m
    litellm_params: {model: openai/m, api_base: "http://127.0.0.1:$(cat "$folder/model.port")/v1", api_key: none}
general_settings: {master_key: sk-here}
END
LITELLM_LOCAL_MODEL_COST_MAP=True "$folder/v/bin/litellm" --config "$folder/config.yaml" --host 127.0.0.1 \
    --port "$port" >"$folder/log" 2>&1 & echo $! >"$folder/proxy.pid"
"$folder/v/bin/python" - "$port" <<'END'
import http.client
import json
import sys
import time
from importlib.metadata import version

body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True})
headers = {"Authorization": "Bearer sk-here", "Content-Type": "application/json"}


def ask():
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
    began = time.monotonic()
    connection.request("POST", "/v1/chat/completions", body, headers)
    answer = connection.getresponse()
    head = time.monotonic() - began
    answer.read()
    return answer, head, time.monotonic() - began


for attempt in range(200):
    try:
        ask()  # the first one takes longer
        break
    except OSError:
        time.sleep(1)
answer, head, end = ask()
said = float(answer.headers["x-litellm-response-duration-ms"]) / 1e3
words = ["yes" if true else "no" for true in (answer.status == 200 and head > 0.9, end > 1.9, said < 0.5)]
print("litellm {}: head after more than 0.9 s: {}, end after more than 1.9 s: {}, header below 0.5 s: {}".format(
    version("litellm"), *words))
sys.exit(words != ["yes"] * 3)
END
