"""What every test may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.truthserver.process import TruthServer, build

SERVERS = {"perf", "truth", "inference_sim", "jaeger", "otelcol", "prometheus", "wheel"}
"""Fixtures that start a process, or build something first."""

SLOW_FOLDERS = ("dashboards/fed", "engines", "libraries", "models", "process", "real")
"""Folders whose tests start processes without a fixture of the above."""

SHARED_PARTS = ("collector", "dashboards", "real")
"""Folders whose tests share parts of a session: one process runs them all, so that no part is started twice."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="leave out tests that start servers, a Collector or a browser")
    parser.addoption("--engines", action="store_true", help="also start real model servers, in tests/engines")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_side_by_side(item)))
    if not config.getoption("--fast"):
        return
    slow = [item for item in items if _starts_processes(item)]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in set(slow)]
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"--fast leaves out {len(slow)} tests that start processes; `make test` runs them too")


def _side_by_side(item: pytest.Item) -> str:
    """What goes to one process of `-n`: a file, or all folders that share the real parts."""
    return "real parts" if _folder(item).startswith(SHARED_PARTS) else item.path.as_posix()


def _folder(item: pytest.Item) -> str:
    return item.path.parent.relative_to(Path(__file__).parent).as_posix()


def _starts_processes(item: pytest.Item) -> bool:
    folder = _folder(item)
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
