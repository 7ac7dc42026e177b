"""Real model servers, started for these tests alone: `make test-engines`."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.engines.llama_server import LlamaServer
from tests.engines.ollama import Ollama
from tests.engines.sglang import SGLang
from tests.engines.triton import Triton
from tests.engines.vllm import VLLM
from tests.load.conftest import Perf
from tests.load.conftest import perf as perf  # a fixture
from tools.engines import ENGINES
from tools.process import PartProcess

START_S = 500.0
"""An engine compiles and imports for a minute, on a machine that is busy for several."""

Run = Callable[..., Perf]
_Server = TypeVar("_Server", bound=PartProcess)


@pytest.fixture(scope="session", autouse=True)
def _asked_for(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--engines"):
        pytest.skip("starts real model servers: make engines, then make test-engines")


@pytest.fixture
def run(perf: Any) -> Run:
    """Return what runs `otel-llm perf`, and waits for it on a busy machine too."""
    return lambda *arguments: perf.start(*arguments).wait(timeout_s=400)


def started(name: str, kind: Callable[[Path], _Server], folders: pytest.TempPathFactory) -> Iterator[_Server]:
    """Yield a server of the engine that is called `name` there, made of a folder of its own and started."""
    if not ENGINES[name].installed:
        pytest.skip(f"needs a real {name}: make engines ARGS={name}")
    server = kind(folders.mktemp(name))
    try:
        yield server.start(START_S)
    finally:
        server.stop()


@pytest.fixture(scope="session")
def llama_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    yield from started("llama-server", LlamaServer, tmp_path_factory)


@pytest.fixture(scope="session")
def ollama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ollama]:
    for server in started("ollama", Ollama, tmp_path_factory):
        server.create()
        yield server


@pytest.fixture(scope="session")
def sglang(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SGLang]:
    yield from started("sglang", SGLang, tmp_path_factory)


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    yield from started("triton", Triton, tmp_path_factory)


@pytest.fixture(scope="session")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLM]:
    yield from started("vllm", VLLM, tmp_path_factory)
