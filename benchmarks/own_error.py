"""What something beside a load run does to the run's own error: runs with it and without it, in turns."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.bench import INSTALLED
from tests.truthserver.process import TruthServer, build

__all__ = ["compare"]

Child = subprocess.Popen[str]


def compare(pairs: int, *options: str, beside: Callable[[Child], object] = Child.communicate) -> None:
    """Print the own error of runs with options of `otel-llm perf`, and of runs without them.

    beside: what happens while a run goes on; returns when it has ended
    """
    found: dict[str, list[tuple[float, float, float]]] = {"without": [], options[0]: []}
    with tempfile.TemporaryDirectory() as folder, TruthServer(build(), Path(folder) / "log") as truth:
        for _ in range(pairs):
            for which, errors in found.items():
                errors.append(_own_error(truth, options if which == options[0] else (), beside))
                told = "  ".join(f"{value * 1e3:.3f}" for value in errors[-1])
                print(f"{which:16} receive lag p50, p99, first token p50, ms: {told}", flush=True)
    middle = [np.median(errors, axis=0) for errors in found.values()]
    print(f"with {options[0]} / without, medians:", "  ".join(f"{ratio:.2f}" for ratio in middle[1] / middle[0]))


def _own_error(
    truth: TruthServer, more: Sequence[str], beside: Callable[[Child], object]
) -> tuple[float, float, float]:
    """Return a run's receive lag, p50 and p99, and its first tokens' p50 of a server that sends them after 20 ms."""
    url = f"{truth.url}/x/ttft_ms=20;itl_ms=10;tokens=60/v1/chat/completions"
    options = ("--parallel", "50", "-n", "1000", "--json", "report.json", "--name", "run.db", *more)
    command = [sys.executable, "-m", "otel_llm.cli", "perf", "--url", url, "--model", "m", "--prompt", "Why?", *options]
    with tempfile.TemporaryDirectory() as folder:
        child = subprocess.Popen(
            command, cwd=folder, env=INSTALLED, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        beside(child)
        report = json.loads((Path(folder) / "report.json").read_text())
    lag = report["client"]["receive_lag"]
    return lag["p50"], lag["p99"], report["measures"]["time_to_first_token"]["p50"]
