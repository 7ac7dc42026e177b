#!/bin/sh
# A server may put the usage so far into every chunk of a stream, as vLLM does with `continuous_usage_stats`.
#
# Seen with langchain-core 1.8.3, langchain-openai 1.7.4 and openai 3.57.0: the chunks of a message are added up, and so
# are their totals. `ChatOpenAI(streaming=True).invoke()` of an answer of 5 tokens to a prompt of 7, told after each
# token, has a usage_metadata of several times as many; what the last chunk says is what was billed.
#
# Prints:
#     billed:         7 in, 5 out
#     usage_metadata: 56 in, 25 out
# Exit 0: it is still so. 1: it has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    langchain-core==1.8.3 langchain-openai==1.7.4 openai==3.57.0
env -u HTTP_PROXY -u HTTPS_PROXY -u http_proxy -u https_proxy timeout 60 "$folder/venv/bin/python" - <<'END'
import http.server
import json
import sys
import threading

from langchain_openai import ChatOpenAI

PROMPT, TOKENS = 7, 5


def chunk(delta, out, finish=None):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    usage = {"prompt_tokens": PROMPT, "completion_tokens": out, "total_tokens": PROMPT + out}
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**head, "choices": [choice], "usage": usage}


CHUNKS = [chunk({"role": "assistant", "content": ""}, 0)]
CHUNKS += [chunk({"content": f"w{i} "}, i) for i in range(1, TOKENS + 1)]
CHUNKS += [chunk({}, TOKENS, "stop"), {**chunk({}, TOKENS), "choices": []}]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        events = [f"data: {json.dumps(said)}\n\n" for said in CHUNKS]
        self.wfile.write("".join([*events, "data: [DONE]\n\n"]).encode())

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
model = ChatOpenAI(
    model="m", base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="x", streaming=True, stream_usage=True
)
usage = model.invoke("hi").usage_metadata
print(f"billed:         {PROMPT} in, {TOKENS} out")
print(f"usage_metadata: {usage['input_tokens']} in, {usage['output_tokens']} out")
sys.exit((usage["input_tokens"], usage["output_tokens"]) != (56, 25))
END
