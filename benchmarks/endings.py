"""What is left of the telemetry of a server that is told to stop (SIGTERM): made, and received.

    python -m benchmarks.endings [NAME ...]    # exits with 1 where something was lost

Each is asked four times, and stopped in the middle of the fourth answer; a script and Celery finish or begin four
calls, and the last one ends by itself, by `sys.exit`. Spans and points of the duration are counted where they arrive,
by OTLP over gRPC.
Servers that are not installed are left out: gunicorn, hypercorn and celery are in no lock.
"""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from http.client import HTTPResponse
from pathlib import Path

from otel_llm import conventions
from otel_llm.receiver.otlp import OtlpReceiver

CALLS = 4
CONFIGURE = "import otel_llm\ntelemetry = otel_llm.configure({endpoint!r}, service_name='server')\n"
ASGI = """
import asyncio
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()

@otel_llm.metrics(model="m")
async def tokens():
    for _ in range(5):
        await asyncio.sleep(0.05)
        yield "a "

@app.get("/")
async def generate():
    return StreamingResponse(tokens(), media_type="text/plain")
"""
WSGI = """
import time

@otel_llm.metrics(model="m")
def tokens():
    for _ in range(5):
        time.sleep(0.05)
        yield b"a "

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return tokens()
"""
BEGUN = """
import sys
import time

@otel_llm.metrics(model="m")
def tokens():
    yield "a"

for _ in range(3):
    list(tokens())
open_one = tokens()
next(open_one)
print("begun", flush=True)
"""
SCRIPT = BEGUN + "time.sleep(60)\n"
LEAVES = BEGUN + "sys.exit(3)\n"
CELERY = """
from celery import Celery
from celery.signals import worker_process_shutdown

@worker_process_shutdown.connect
def export(**_):
    telemetry.shutdown()

app = Celery("application", broker="filesystem://")
app.conf.broker_transport_options = {"data_folder_in": "queue", "data_folder_out": "queue"}

@otel_llm.metrics(model="m")
def tokens():
    yield "a"

@app.task
def work():
    list(tokens())
    print("done", file=open("done", "a"))
"""
GUNICORN = ("gunicorn", "application:app", "--workers", "2", "--bind", "127.0.0.1:{port}")
SERVERS = {
    "uvicorn": (ASGI, ("uvicorn", "application:app", "--port", "{port}")),
    "uvicorn --workers 2": (ASGI, ("uvicorn", "application:app", "--port", "{port}", "--workers", "2")),
    "gunicorn, prefork": (WSGI, GUNICORN),
    "gunicorn, UvicornWorker": (ASGI, (*GUNICORN, "--worker-class", "uvicorn.workers.UvicornWorker")),
    "hypercorn": (ASGI, ("hypercorn", "application:app", "--bind", "127.0.0.1:{port}")),
    "celery, prefork": (CELERY, ("celery", "--app", "application", "worker", "--concurrency", "2")),
    "a plain script": (SCRIPT, ("application",)),
    "a plain script, by sys.exit": (LEAVES, ("application",)),
}


def start(words: "tuple[str, ...]", folder: Path) -> "subprocess.Popen[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-m", *words]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)


def ask(url: str, process: "subprocess.Popen[str]") -> None:
    """Ask four times, the first of them until there is somebody, and stop the server within the last."""
    for _ in range(600):
        try:
            get(url).read()
            break
        except OSError:
            time.sleep(0.1)
    for _ in range(CALLS - 2):
        get(url).read()
    with get(url) as answer:
        answer.read(2)
        process.send_signal(signal.SIGTERM)
        answer.read()


def get(url: str) -> HTTPResponse:
    answer: HTTPResponse = urllib.request.urlopen(url, timeout=30)  # noqa: S310  # our own server
    return answer


def work(folder: Path, process: "subprocess.Popen[str]") -> None:
    """Give Celery four tasks, and stop it when they are done."""
    code = f"import application\nfor _ in range({CALLS}):\n    application.work.delay()"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
    done = folder / "done"
    for _ in range(600):
        if done.exists() and len(done.read_text().splitlines()) == CALLS:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)


def arrived(name: str) -> tuple[int, int]:
    """Return the spans and points that arrived of four calls."""
    program, words = SERVERS[name]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with OtlpReceiver() as receiver, tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "queue").mkdir()
        (folder / "application.py").write_text(CONFIGURE.format(endpoint=receiver.grpc_endpoint) + program)
        process = start(tuple(word.format(port=port) for word in words), folder)
        try:
            if program is CELERY:
                work(folder, process)
            elif program in (SCRIPT, LEAVES):
                assert process.stdout is not None
                process.stdout.readline()
                if program is SCRIPT:
                    process.send_signal(signal.SIGTERM)
            else:
                ask(f"http://127.0.0.1:{port}/", process)
            process.wait(60)
        finally:
            process.kill()
        durations = receiver.histogram(conventions.instrument("operation_duration").v1_41 or "")
        spans = [span for span in receiver.spans if span.scope == conventions.SCOPE]
        return len(spans), 0 if durations is None else durations.count


def main() -> int:
    lost = 0
    print("| ended | made | spans received | points received |\n| --- | --- | --- | --- |")
    for name in sys.argv[1:] or SERVERS:
        words = SERVERS[name][1]
        if importlib.util.find_spec(words[0]) is None and words[0] != "application":
            continue
        spans, points = arrived(name)
        lost += (spans, points) != (CALLS, CALLS)
        print(f"| {name} | {CALLS} | {spans} | {points} |", flush=True)
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
