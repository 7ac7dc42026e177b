"""`python -m tests.view.pictures`: the pictures of docs/view.md, of a real load on a simulated server."""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from otel_llm.sim.behaviour import Behaviour
from otel_llm.sim.process import SimProcess
from tests.browser import Page, browser_program

__all__ = ["main"]

DOCS = Path(__file__).parent.parent.parent / "docs" / "pictures"
SLOWER = "ttft_ms=450;itl_ms=28;jitter=lognormal;amp=0.5;tokens=24;fault=429;fault_rate=0.05"


async def photograph(url: str) -> None:
    async with Page(browser_program(), url) as page:
        await page.until("document.querySelectorAll('#heatmap .cell').length > 20")
        clip = await page.run("document.querySelector('section').getBoundingClientRect().bottom + 16")
        (DOCS / "view-overview.png").write_bytes(await page.picture(x=0, y=0, width=1280, height=clip))
    async with Page(browser_program(), f"{url}#calls", width=390, dark=True) as page:
        await page.until("document.querySelectorAll('#main tbody a').length > 5")
        await page.run("location.hash = document.querySelector('#main tbody a').hash; 0")
        await page.until("document.querySelectorAll('ul.tree li').length > 0")
        (DOCS / "view-trace.png").write_bytes(await page.picture(x=0, y=0, width=390, height=760))


def main() -> int:
    cli = (sys.executable, "-m", "otel_llm.cli")
    behaviour = Behaviour(ttft_ms=140, itl_ms=14, jitter="lognormal", amp=0.5, tokens=24)
    with tempfile.TemporaryDirectory() as folder, SimProcess(behaviour) as sim:
        ports = ("--port", "0", "--grpc-port", "0", "--http-port", "0", "--file", f"{folder}/view.db")
        with subprocess.Popen([*cli, "view", *ports], stdout=subprocess.PIPE, text=True) as view:
            assert view.stdout is not None
            page, otlp = view.stdout.readline().split()[-1], view.stdout.readline().split()[1]
            for model, path in (("llama-8b", ""), ("qwen-14b", f"/x/{SLOWER}")):
                url = f"{sim.url}{path}/v1/chat/completions"
                options = ("--model", model, "--rate", "4", "--duration", "30s", "--name", f"{folder}/{model}.db")
                subprocess.run(
                    [*cli, "perf", "--url", url, "--prompt", "Why is the sky blue?", "--otlp-endpoint", otlp, *options],
                    check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )  # fmt: skip
            DOCS.mkdir(exist_ok=True)
            asyncio.run(photograph(page))
            view.terminate()
    return 0


if __name__ == "__main__":
    sys.exit(main())
