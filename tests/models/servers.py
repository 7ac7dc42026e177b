"""Two model servers that others wrote, for tiny random models; `make test-models` has what they need."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from tools.ports import HOST, free
from tools.process import PartProcess

START_S = 240.0
"""Python and the model libraries take seconds to be loaded, on a machine that is busy minutes."""


def needs(module: str) -> None:
    """Skip the test, or fail it in the environment of `make test-models`, where nothing may be missing."""
    if importlib.util.find_spec(module) is not None:
        return
    if Path(sys.prefix).name.endswith("-models"):
        pytest.fail(f"expected {module} in {Path(sys.prefix).name}, got none", pytrace=False)
    pytest.skip("needs the model libraries: make test-models")


class LlamaCpp(PartProcess):
    """`llama_cpp.server` of llama-cpp-python: streams end with [DONE] and never say how many tokens they had."""

    name = "llama_cpp.server"
    model = "tiny"

    def __init__(self, data: Path, weights: Path) -> None:
        super().__init__(data)
        self.weights, self.port = weights, free()
        self.url = f"http://{HOST}:{self.port}"
        self.ready_url = f"{self.url}/v1/models"

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "llama_cpp.server", "--model", str(self.weights), "--model_alias", self.model),
            *("--host", HOST, "--port", str(self.port), "--n_ctx", "2048", "--n_threads", "1"),
            *("--interrupt_requests", "False"),  # else a second request ends the stream of the first
        ]  # fmt: skip


class TransformersServe(PartProcess):
    """`transformers serve`: streams end without [DONE], and say unasked how many tokens they had."""

    name = "transformers serve"

    def __init__(self, data: Path, folder: Path) -> None:
        super().__init__(data)
        self.model, self.port = str(folder), free()
        self.url = f"http://{HOST}:{self.port}"
        self.ready_url = f"{self.url}/health"

    def command(self) -> list[str]:
        program = str(Path(sys.executable).with_name("transformers"))
        return [program, "serve", self.model, "--device", "cpu", "--host", HOST, "--port", str(self.port)]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(self.data), "OMP_NUM_THREADS": "1"}
