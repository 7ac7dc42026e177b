"""vLLM on a CPU with a random model, two requests at a time."""

import os
from pathlib import Path

from tests.engines import random_llama
from tests.engines.serving import EngineServer, made_once
from tools.engines import VLLM as ENVIRONMENT
from tools.ports import HOST

SLOTS = 2


class VLLM(EngineServer):
    """`model` is what requests ask for; `more` are options besides. The weights are made once, in the cache."""

    name = "vllm"
    model = "random"

    def __init__(self, data: Path, *more: str) -> None:
        super().__init__(data)
        self._more = more

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
    """The model."""
    return made_once("random-llama", random_llama.__file__, ENVIRONMENT)
