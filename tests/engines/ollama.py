"""Ollama with a random model, two requests at a time."""

import os
import subprocess
from pathlib import Path

from tests.engines.gguf import weights
from tests.engines.serving import EngineServer
from tools.engines import OLLAMA
from tools.ports import HOST

SLOTS = 2


class Ollama(EngineServer):
    """`model` is what requests ask for, once it was `create`d."""

    name = "ollama"
    model = "random"
    ready_path = "/api/version"

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self._program = str(OLLAMA.folder / "bin" / "ollama")

    def command(self) -> list[str]:
        return [self._program, "serve"]

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "HOME": str(self.data),
            "OLLAMA_HOST": f"{HOST}:{self.port}",
            "OLLAMA_MODELS": str(self.data / "models"),
            "OLLAMA_NUM_PARALLEL": str(SLOTS),
            "OLLAMA_CONTEXT_LENGTH": "1024",
            "OLLAMA_KEEP_ALIVE": "-1",
            "OLLAMA_NO_CLOUD": "1",
        }

    def create(self) -> None:
        """Make the model known to the running server."""
        described = self.data / "Modelfile"
        described.write_text(
            f'FROM {weights(OLLAMA)}\nTEMPLATE "{{{{ .Prompt }}}}"\nPARAMETER num_thread 1\nPARAMETER temperature 0\n'
        )
        asked = [self._program, "create", self.model, "-f", str(described)]
        subprocess.run(asked, env=self.environment(), check=True, timeout=300, capture_output=True)
