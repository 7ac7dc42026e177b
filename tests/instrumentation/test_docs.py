"""What the pages show runs, and says what it is said to say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = [
    (page, block)
    for page in ("instrumentation.md", "libraries.md", "models.md")
    for block in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
]


@pytest.mark.parametrize(("page", "block"), BLOCKS, ids=[f"{page} {i}" for i, (page, _) in enumerate(BLOCKS)])
def test_the_examples_run(page: str, block: str) -> None:
    if block.startswith("# needs"):
        compile(block, page, "exec")
        return
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""


def test_the_tutorial_is_ten_lines_and_prints_the_three() -> None:
    tutorial = BLOCKS[0][1]
    assert len([line for line in tutorial.splitlines() if line]) == 9
    done = subprocess.run([sys.executable, "-c", tutorial], capture_output=True, text=True, timeout=60, check=True)
    text, first, latency, throughput = done.stdout.splitlines()
    assert text.startswith("the first token")
    assert 0.02 <= float(first.removeprefix("Time to First Token: ")) < 0.2
    assert 0.2 <= float(latency.removeprefix("Generation Latency: ")) < 2
    assert float(throughput.removeprefix("Throughput: ")) > 4
