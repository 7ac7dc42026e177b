"""The random model that llama-server and Ollama run, made once by the Python of an engine's environment."""

import hashlib
import subprocess
from pathlib import Path

from tests.models import tiny_gguf
from tools import cache
from tools.environments import Environment


def weights(environment: Environment) -> Path:
    script = Path(tiny_gguf.__file__)
    target = cache.folder("engines", f"random-gguf-{hashlib.sha256(script.read_bytes()).hexdigest()[:8]}")
    name = "random.gguf"

    def write(folder: Path) -> None:
        made = [environment.python, str(script), str(folder / name)]
        subprocess.run(made, check=True, timeout=600, stdout=subprocess.DEVNULL)

    cache.fill(target, write)
    return target / name
