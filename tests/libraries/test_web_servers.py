"""A real server that is told to stop: nothing that it measured is lost, with what the page says and without it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from otel_llm.testing import OtlpReceiver
from tests.vocabulary import metric_name

pytest.importorskip("uvicorn", reason="needs the libraries: make test-libraries")

PAGE = (Path(__file__).parents[2] / "docs/instrumentation.md").read_text("utf-8")

STREAM = """
import asyncio
from fastapi.responses import StreamingResponse

@otel_llm.metrics(model="mine")
async def tokens():
    for _ in range(10):
        await asyncio.sleep(0.05)
        yield "a "

@app.get("/generate")
async def generate():
    return StreamingResponse(tokens(), media_type="text/plain")
"""

ON_IMPORT = """
import otel_llm
from fastapi import FastAPI

otel_llm.configure(endpoint="http://localhost:4317", service_name="my-model")
app = FastAPI()
"""


def lifespan() -> str:
    """Return the recipe of the page."""
    return next(block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "lifespan" in block)


@contextmanager
def served(program: str, folder: Path, *options: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    (folder / "application.py").write_text(program)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "uvicorn", "application:app", "--port", str(port), *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    process = subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


def ask(url: str) -> bytes:
    for _ in range(600):
        try:
            body: bytes = urllib.request.urlopen(f"{url}/generate", timeout=30).read()
        except OSError:
            time.sleep(0.05)
        else:
            return body
    raise TimeoutError(url)


@pytest.mark.parametrize("recipe", ["on import", "lifespan"])
@pytest.mark.parametrize("options", [(), ("--workers", "2")])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_uvicorn_told_to_stop_loses_no_call(recipe: str, options: tuple[str, ...], number: int, tmp_path: Path) -> None:
    setup = ON_IMPORT if recipe == "on import" else lifespan()
    with OtlpReceiver() as receiver:
        program = setup.replace("http://localhost:4317", receiver.grpc_endpoint) + STREAM
        with served(program, tmp_path, *options) as (url, process):
            for _ in range(3):
                ask(url)
            under_way = urllib.request.urlopen(f"{url}/generate", timeout=30)
            begun = under_way.read(2)
            process.send_signal(number)
            rest = under_way.read()
            process.wait(30)
        assert begun + rest == b"a " * 10
        spans = [span for span in receiver.spans if span.scope == "otel_llm"]
        assert [span.attributes["otel_llm.stream.outcome"] for span in spans] == ["complete"] * 4
        found = receiver.histogram(metric_name("time_to_first_token"))
        assert found is not None
        assert found.count == 4
