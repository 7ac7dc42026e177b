"""What every test may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.truthserver.process import TruthServer, build

SERVERS = {"perf", "truth", "inference_sim", "jaeger", "otelcol", "prometheus", "wheel"}
"""Fixtures that start a process, or build something first."""

SLOW_FOLDERS = ("dashboards/fed", "libraries", "models", "process", "real")
"""Folders whose tests start processes without a fixture of the above."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="leave out tests that start servers, a Collector or a browser")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--fast"):
        return
    slow = [item for item in items if _starts_processes(item)]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in set(slow)]
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"--fast leaves out {len(slow)} tests that start processes; `make test` runs them too")


def _starts_processes(item: pytest.Item) -> bool:
    folder = item.path.parent.relative_to(Path(__file__).parent).as_posix()
    asks = set(getattr(item, "fixturenames", ()))
    return folder.startswith(SLOW_FOLDERS) or bool(asks & SERVERS) or "subprocess" in item.path.read_text("utf-8")


@pytest.fixture(scope="session")
def _truth_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TruthServer]:
    with TruthServer(build(), tmp_path_factory.mktemp("truth") / "truth.jsonl") as server:
        yield server


@pytest.fixture
def truth(_truth_process: TruthServer) -> TruthServer:
    """The Go server that knows when it sent what, its counts at zero and its log empty."""
    _truth_process.reset()
    return _truth_process
