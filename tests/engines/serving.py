"""What the real servers have in common: a port of their own, and models that are made once."""

import hashlib
import subprocess
from pathlib import Path
from typing import ClassVar

from tools import cache
from tools.environments import Environment
from tools.ports import HOST, free
from tools.process import PartProcess

__all__ = ["EngineServer", "made_once"]


class EngineServer(PartProcess):
    """A server at `url`. It takes requests as soon as `ready_path` answers."""

    ready_path: ClassVar = "/health"

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.port = free()
        self.url = f"http://{HOST}:{self.port}"
        self.ready_url = f"{self.url}{self.ready_path}"


def made_once(name: str, script: str, environment: Environment, file: str = "") -> Path:
    """Return what a script has made in the cache, a folder or a file in it, which it is given the path of.

    It is run by the Python of an engine, which has what that takes; again, when it is another script.
    """
    path = Path(script)
    target = cache.folder("engines", f"{name}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}")

    def make(folder: Path) -> None:
        command = [environment.python, str(path), str(folder / file)]
        subprocess.run(command, check=True, timeout=600, stdout=subprocess.DEVNULL)

    cache.fill(target, make)
    return target / file
