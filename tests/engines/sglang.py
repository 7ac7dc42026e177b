"""SGLang on a CPU with a random model, two requests at a time."""

import os
from pathlib import Path

from tests.engines.serving import EngineServer
from tests.engines.vllm import weights
from tools.engines import SGLANG
from tools.ports import HOST

SLOTS = 2


class SGLang(EngineServer):
    """`model` is what requests ask for. The weights are those that vLLM has."""

    name = "sglang"
    model = "random"

    def command(self) -> list[str]:
        return [
            *(SGLANG.python, "-m", "sglang.launch_server", "--model-path", str(weights())),
            *("--served-model-name", self.model, "--host", HOST, "--port", str(self.port), "--enable-metrics"),
            *("--device", "cpu", "--attention-backend", "torch_native", "--disable-cuda-graph"),
            *("--disable-overlap-schedule", "--skip-server-warmup", "--max-running-requests", str(SLOTS)),
            *("--mem-fraction-static", "0.1", "--max-total-tokens", "16384", "--context-length", "2048"),
        ]

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "SGLANG_USE_CPU_ENGINE": "1",
            "PYTHONPATH": str(Path(__file__).parent / "stand_ins"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }
