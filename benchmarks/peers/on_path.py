"""Load generators that are not installed from a lock here: they are run where they are found on PATH.

`sglang.bench_serving` comes with all of SGLang and its CUDA libraries. genai-perf starts perf_analyzer, whose wheel
(2.60.0) needs a C library of 2.38 or newer: Ubuntu 24.04 has it, Debian 12 has not.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.adapter import Load
from benchmarks.peers.sharegpt import write_conversations
from benchmarks.peers.tokenizer import write_tokenizer

__all__ = ["GENAI_PERF", "SGLANG", "OnPath", "genai_perf", "sglang_bench"]


@dataclass(frozen=True, slots=True)
class OnPath:
    """A distribution whose command of the same name is on PATH, if it is there."""

    distribution: str

    @property
    def installed(self) -> bool:
        return shutil.which(self.distribution) is not None

    @property
    def python(self) -> str:
        """The interpreter beside the command."""
        return str(Path(shutil.which(self.distribution) or "").parent / "python")

    @property
    def version(self) -> str:
        asked = f"import importlib.metadata as found; print(found.version({self.distribution!r}))"
        return subprocess.run([self.python, "-c", asked], capture_output=True, text=True, check=True).stdout.strip()


SGLANG = OnPath("sglang")
GENAI_PERF = OnPath("genai-perf")


def sglang_bench(load: Load, folder: Path) -> list[str]:
    """Return the command of `sglang.bench_serving`, without the requests that it sends before its own."""
    return [
        SGLANG.python, "-W", "ignore", "-m", "sglang.bench_serving", "--backend", "sglang-oai-chat",
        "--base-url", load.url, "--model", load.model, "--tokenizer", str(write_tokenizer(folder)),
        "--dataset-name", "sharegpt", "--dataset-path", str(write_conversations(load, folder)),
        "--sharegpt-output-len", str(load.tokens), "--num-prompts", str(load.requests),
        "--max-concurrency", str(load.streams), "--warmup-requests", "0", "--disable-ignore-eos", "--disable-tqdm",
        "--output-file", "result.jsonl",
    ]  # fmt: skip


def genai_perf(load: Load, folder: Path) -> list[str]:
    """Return the command, whose prompts are its own."""
    return [
        "genai-perf", "profile", "--model", load.model, "--url", load.url, "--endpoint-type", "chat", "--streaming",
        "--tokenizer", str(write_tokenizer(folder)), "--concurrency", str(load.streams),
        "--request-count", str(load.requests), "--warmup-request-count", "0", "--num-dataset-entries", "20",
        "--synthetic-input-tokens-mean", "50", "--output-tokens-mean", str(load.tokens),
        "--extra-inputs", f"max_tokens:{load.tokens}", "--artifact-dir", "artifacts",
    ]  # fmt: skip
