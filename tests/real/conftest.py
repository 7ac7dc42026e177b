"""The real parts as fixtures: started once per session on free loopback ports, stopped at its end.

A test that stops one starts it again. One that needs other settings makes its own part from `real_program`:

    with Collector(real_program("otelcol"), tmp_path, config=(*STACK, mine)) as collector: ...
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.load.conftest import perf
from tools import find
from tools.errors import ToolsError
from tools.services import Collector, InferenceSim, Jaeger, Prometheus

__all__ = ["perf"]

RealProgram = Callable[[str], Path]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine's own OTEL_* variables say is not for these tests and their processes."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def real_program() -> RealProgram:
    """The path of a program; where it is missing the test is skipped, or fails with CI=true."""

    def path(name: str) -> Path:
        try:
            return find.program(name).path
        except ToolsError as error:
            if os.environ.get("CI", "").lower() in {"1", "true"}:
                pytest.fail(str(error), pytrace=False)
            pytest.skip(str(error))

    return path


@pytest.fixture(scope="session")
def prometheus(real_program: RealProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with Prometheus(real_program("prometheus"), tmp_path_factory.mktemp("prometheus")) as part:
        yield part


@pytest.fixture(scope="session")
def jaeger(real_program: RealProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    with Jaeger(real_program("jaeger"), tmp_path_factory.mktemp("jaeger")) as part:
        yield part


@pytest.fixture(scope="session")
def otelcol(
    real_program: RealProgram, prometheus: Prometheus, jaeger: Jaeger, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collector]:
    executable, data = real_program("otelcol"), tmp_path_factory.mktemp("otelcol")
    with Collector(executable, data, prometheus=prometheus, jaeger=jaeger) as part:
        yield part


@pytest.fixture(scope="session")
def inference_sim(real_program: RealProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InferenceSim]:
    """First token after 100 ms, every further one after 20 ms."""
    with InferenceSim(real_program("llm-d-inference-sim"), tmp_path_factory.mktemp("sim")) as part:
        yield part
