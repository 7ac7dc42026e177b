"""The check of first tokens on a GPU: what it says where there is none, and its arithmetic, on a device that waits."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import otel_llm
from benchmarks import cuda
from benchmarks.instrumentation.environments import ROOT


@pytest.mark.skipif(cuda.lacking() is None, reason="there is a GPU")
def test_without_a_gpu_one_line_says_what_is_lacking() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cuda"],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert line.startswith(("expected torch and transformers, got no ", "expected a GPU that torch "))
    assert "; next step: " in line


class HostEvent:
    """An event of a device that runs what it is told at once: the host."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def record(self) -> None:
        self.at_s = time.perf_counter()

    def synchronize(self) -> None:
        """Nothing is ever waiting."""

    def elapsed_time(self, later: "HostEvent") -> float:
        return (later.at_s - self.at_s) * 1e3


@pytest.mark.parametrize("streamed", [True, False])
def test_the_three_times_of_a_first_token_are_of_the_same_token(tiny: Path, streamed: bool) -> None:
    torch: Any = pytest.importorskip("torch")
    transformers: Any = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny).eval()
    otel_llm.instrument(include=["transformers"])
    try:
        prompt = torch.randint(4, 90, (1, 20))
        cuda.measure(model, prompt, HostEvent, streamed=streamed)
        times = cuda.measure(model, prompt, HostEvent, streamed=streamed)
    finally:
        otel_llm.uninstrument()
    last = otel_llm.last_metrics()
    assert last is not None
    whole_ms = last.generation_latency * 1e3
    assert times.device <= times.host < whole_ms / 2  # of 64 tokens
    assert 0 < times.ours < whole_ms / 2
