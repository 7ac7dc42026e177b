"""vLLM on a CPU with a random Whisper, two requests at a time."""

from pathlib import Path

from tests.engines import random_whisper
from tests.engines.serving import EngineServer, made_once
from tests.engines.vllm import SLOTS, environment
from tools.engines import VLLM_AUDIO as ENVIRONMENT
from tools.ports import HOST


class Transcriber(EngineServer):
    """`model` is what requests ask for. It writes of whatever it hears until its tokens are used up."""

    name = "vllm_audio"
    model = "heard"

    def command(self) -> list[str]:
        return [
            *(ENVIRONMENT.python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(weights())),
            *("--served-model-name", self.model, "--host", HOST, "--port", str(self.port), "--enforce-eager"),
            *("--max-num-seqs", str(SLOTS), "--max-num-batched-tokens", "2048"),  # 30 s of sound are 1500
        ]

    def environment(self) -> dict[str, str]:
        return environment()


def weights() -> Path:
    """The model."""
    return made_once("random-whisper", random_whisper.__file__, ENVIRONMENT)
