"""The examples that need a model library."""

import re
import subprocess
import sys
from pathlib import Path

from tests.models.servers import needs

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_example_of_transformers_runs_and_its_tokens_are_exact() -> None:
    needs("transformers")
    command = [sys.executable, str(EXAMPLES / "generate_with_transformers.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert re.search(r"Time to First Token: [\d.e-]+\nGeneration Latency: .*\nThroughput: ", done.stdout)
    assert re.search(r"TTFT .* 4 in +20 out ", done.stderr)
