"""`python -m tests.picture FILE.png`: the picture of the README, from a real run against the simulator."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from otel_llm.cli import main
from otel_llm.sim.behaviour import Behaviour
from otel_llm.sim.process import SimProcess
from tests.browser import Page, browser_program

SECTION = "[...document.querySelectorAll('section')].find(s => s.textContent.includes('How the latencies are spread'))"


def report_page(folder: Path) -> Path:
    """Load the simulator for half a minute and return the page of that run."""
    with SimProcess(Behaviour(ttft_ms=300, itl_ms=40, tokens=48, jitter="lognormal")) as sim:
        run, page = folder / "run.db", folder / "page.html"
        url = f"{sim.url}/v1/chat/completions"
        words = f"perf --url {url} --model demo-model --rate 8 --duration 30s --prompt Hi --name {run}"
        main(words.split())
    main(["report", str(run), "--html", str(page)])
    return page


async def picture(page: Path) -> bytes:
    """Return the charts of the distributions, as PNG."""
    async with Page(browser_program(), page.as_uri(), width=1000) as shown:
        await shown.until(f"{SECTION} && document.querySelectorAll('.bk-Figure, canvas').length > 3")
        await asyncio.sleep(2)  # charts are drawn when they are laid out
        place = f"JSON.stringify((() => {{ const r = {SECTION}.getBoundingClientRect(); return "
        place += "{x: 0, y: r.y + scrollY - 8, width: 1000, height: r.height + 16} })())"
        return await shown.picture(**json.loads(await shown.run(place)))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        Path(sys.argv[1]).write_bytes(asyncio.run(picture(report_page(Path(made)))))
