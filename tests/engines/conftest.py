"""Real model servers, started for these tests alone: `make test-engines`."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.engines.triton import Triton
from tests.engines.vllm import VLLM
from tests.load.conftest import Perf
from tests.load.conftest import perf as perf  # a fixture
from tools.engines import ENGINES

START_S = 500.0
"""An engine compiles and imports for a minute, on a machine that is busy for several."""

Run = Callable[..., Perf]


@pytest.fixture(scope="session", autouse=True)
def _asked_for(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--engines"):
        pytest.skip("starts real model servers: make engines, then make test-engines")


def _needs(name: str) -> None:
    if not ENGINES[name].installed:
        pytest.skip(f"needs a real {name}: make engines ARGS={name}")


@pytest.fixture
def run(perf: Any) -> Run:
    """Return what runs `otel-llm perf`, and waits for it on a busy machine too."""
    return lambda *arguments: perf.start(*arguments).wait(timeout_s=400)


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    _needs("triton")
    server = Triton(tmp_path_factory.mktemp("triton"))
    try:
        yield server.start(START_S)
    finally:
        server.stop()


@pytest.fixture(scope="session")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLM]:
    _needs("vllm")
    server = VLLM(tmp_path_factory.mktemp("vllm"))
    try:
        yield server.start(START_S)
    finally:
        server.stop()
