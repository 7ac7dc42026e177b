"""vLLM on a CPU with a random Whisper, two requests at a time."""

import hashlib
import subprocess
from pathlib import Path

from tests.engines import random_whisper
from tests.engines.vllm import SLOTS, environment
from tools import cache
from tools.engines import VLLM_AUDIO as ENVIRONMENT
from tools.ports import HOST, free
from tools.process import PartProcess


class Transcriber(PartProcess):
    """`model` is what requests ask for. It writes of whatever it hears until its tokens are used up."""

    name = "vllm_audio"
    model = "heard"

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.port = free()
        self.url = f"http://{HOST}:{self.port}"
        self.ready_url = f"{self.url}/health"

    def command(self) -> list[str]:
        return [
            *(ENVIRONMENT.python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(weights())),
            *("--served-model-name", self.model, "--host", HOST, "--port", str(self.port), "--enforce-eager"),
            *("--max-num-seqs", str(SLOTS), "--max-num-batched-tokens", "2048"),  # 30 s of sound are 1500
        ]

    def environment(self) -> dict[str, str]:
        return environment()


def weights() -> Path:
    """The model, written by the Python of the engine, which has what that takes."""
    script = Path(random_whisper.__file__)
    target = cache.folder("engines", f"random-whisper-{hashlib.sha256(script.read_bytes()).hexdigest()[:8]}")
    cache.fill(target, lambda folder: _write(script, folder))
    return target


def _write(script: Path, folder: Path) -> None:
    subprocess.run([ENVIRONMENT.python, str(script), str(folder)], check=True, timeout=600, stdout=subprocess.DEVNULL)
