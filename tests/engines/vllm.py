"""vLLM on a CPU with a random model, two requests at a time."""

import hashlib
import os
import subprocess
from pathlib import Path

from tests.engines import random_llama
from tools import cache
from tools.engines import VLLM as ENVIRONMENT
from tools.ports import HOST, free
from tools.process import PartProcess

SLOTS = 2


class VLLM(PartProcess):
    """`model` is what requests ask for; `more` are options besides. The weights are made once, in the cache."""

    name = "vllm"
    model = "random"

    def __init__(self, data: Path, *more: str) -> None:
        super().__init__(data)
        self.port, self._more = free(), more
        self.url = f"http://{HOST}:{self.port}"
        self.ready_url = f"{self.url}/health"

    def command(self) -> list[str]:
        return [
            *(ENVIRONMENT.python, "-m", "vllm.entrypoints.openai.api_server"),
            *("--model", str(weights()), "--served-model-name", self.model, "--host", HOST, "--port", str(self.port)),
            *("--max-model-len", "2048", "--max-num-seqs", str(SLOTS)),
            *("--enable-per-request-metrics", "--enable-scale-out"),
            *("--enforce-eager", *self._more),  # else it compiles for minutes where others use the cores, too
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        return environment()


def environment() -> dict[str, str]:
    """What vLLM is to know of the machine: no GPU, one thread, nothing from outside."""
    return {
        **os.environ,
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_HOST_IP": HOST,
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


def weights() -> Path:
    """The model, written by the Python of the engine, which has what that takes."""
    script = Path(random_llama.__file__)
    target = cache.folder("engines", f"random-llama-{hashlib.sha256(script.read_bytes()).hexdigest()[:8]}")
    cache.fill(target, lambda folder: _write(script, folder))
    return target


def _write(script: Path, folder: Path) -> None:
    subprocess.run([ENVIRONMENT.python, str(script), str(folder)], check=True, timeout=600, stdout=subprocess.DEVNULL)
