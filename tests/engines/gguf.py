"""The random model that llama-server and Ollama run."""

from pathlib import Path

from tests.engines.serving import made_once
from tests.models import tiny_gguf
from tools.environments import Environment


def weights(environment: Environment) -> Path:
    """The model's file."""
    return made_once("random-gguf", tiny_gguf.__file__, environment, "random.gguf")
