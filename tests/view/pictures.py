"""`python -m tests.view.pictures`: the pictures of docs/view.md, of a real load on a simulated server."""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image

from otel_llm.sim.behaviour import Behaviour
from otel_llm.sim.process import SimProcess
from tests.browser import Page, browser_program

__all__ = ["main"]

DOCS = Path(__file__).parent.parent.parent / "docs" / "pictures"
CLI = (sys.executable, "-m", "otel_llm.cli")
SLOWER = "ttft_ms=450;itl_ms=28;jitter=lognormal;amp=0.5;tokens=24;fault=429;fault_rate=0.05"


def write(name: str, picture: bytes) -> None:
    """Write a picture in 64 colours, which is all that it has but for the edges of letters."""
    Image.open(BytesIO(picture)).convert("RGB").quantize(64).save(DOCS / f"{name}.png", optimize=True)


async def overview(url: str) -> None:
    async with Page(browser_program(), url, width=1280) as page:
        await page.until("document.querySelectorAll('#heatmap .cell').length > 20")
        clip = await page.run("document.querySelector('section').getBoundingClientRect().bottom + 16")
        write("view-overview", await page.picture(x=0, y=0, width=1280, height=clip))


async def trace(url: str) -> None:
    async with Page(browser_program(), f"{url}#calls", width=390, dark=True) as page:
        await page.until("document.querySelectorAll('#main tbody a').length > 5")
        await page.run("location.hash = document.querySelector('#main tbody a').hash; 0")
        await page.until("document.querySelectorAll('ul.tree li').length > 0")
        write("view-trace", await page.picture(x=0, y=0, width=390, height=560))


@contextmanager
def view(folder: str, *more: str) -> Iterator[list[str]]:
    """Run `otel-llm view`; yield the words that it says first."""
    command = [*CLI, "view", "--port", "0", "--grpc-port", "0", "--http-port", "0", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stdout is not None
        yield " ".join(process.stdout.readline() for _ in range(2)).split()
        process.terminate()


def main() -> int:
    behaviour = Behaviour(ttft_ms=140, itl_ms=14, jitter="lognormal", amp=0.5, tokens=24)
    DOCS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, SimProcess(behaviour) as sim:
        with view(folder, "--file", "view.db") as said:
            for model, path in (("llama-8b", ""), ("qwen-14b", f"/x/{SLOWER}")):
                options = ("--model", model, "--rate", "4", "--duration", "30s", "--name", f"{model}.db")
                url = ("--url", f"{sim.url}{path}/v1/chat/completions", "--otlp-endpoint", said[3])
                subprocess.run(
                    [*CLI, "perf", *url, "--prompt", "Why is the sky blue?", *options], cwd=folder, check=False,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )  # fmt: skip
            asyncio.run(overview(said[1]))
        with view(folder, "llama-8b.db") as said:
            asyncio.run(trace(said[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
