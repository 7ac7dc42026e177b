"""What every test may ask for."""

import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.stale_installation import differences
from tests.truthserver.process import TruthServer, build

# Hundreds of tests start programs. Where bytecode is not kept, as in many containers, each of them compiles everything.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

settings.register_profile("loaded machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("loaded machine")

SERVERS = {"perf", "truth", "inference_sim", "jaeger", "otelcol", "prometheus", "wheel"}
"""Fixtures that start a process, or build something first."""

SLOW_FOLDERS = ("dashboards/fed", "distributed", "engines", "libraries", "models", "process", "real")
"""Folders whose tests start processes without a fixture of the above."""

TALKS = re.compile(r"subprocess|multiprocessing|Server\b|Process\b|OtlpReceiver|\bsocket|browser|hypothesis")
"""What a file that starts a process, a server or a browser, or tries hundreds of inputs, names somewhere."""

SHARED_PARTS = ("collector/", "dashboards/", "real/")
"""Folders whose tests share parts of a session: one process runs them all, so that no part is started twice."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fast", action="store_true", help="leave out tests that start processes, servers, a Collector or a browser"
    )
    parser.addoption("--engines", action="store_true", help="also start real model servers, in tests/engines")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Say at once what pyproject.toml names and is not installed: its tests would fail for no visible reason."""
    if not hasattr(session.config, "workerinput") and (differ := differences()):
        raise pytest.UsageError(
            f"expected the entry points of pyproject.toml to be installed, got others: {', '.join(differ)}; "
            f"{sys.executable} -m pip install --no-deps --no-build-isolation -e ."
        )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal whole files to the processes of `-n`, and all folders that share the real parts to one of them."""
    from xdist.scheduler import LoadScopeScheduling

    class ByParts(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "real parts" if file.removeprefix("tests/").startswith(SHARED_PARTS) else file

    return ByParts(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--fast"):
        return
    slow = [item for item in items if _starts_processes(item)]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in set(slow)]
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(
            f"--fast leaves out {len(slow)} tests that start processes or servers; `make test` runs them too"
        )


def _folder(item: pytest.Item) -> str:
    return item.path.parent.relative_to(Path(__file__).parent).as_posix()


def _starts_processes(item: pytest.Item) -> bool:
    folder = _folder(item)
    asks = set(getattr(item, "fixturenames", ()))
    return folder.startswith(SLOW_FOLDERS) or bool(asks & SERVERS) or _talks(item.path)


@cache
def _talks(file: Path) -> bool:
    return TALKS.search(file.read_text("utf-8")) is not None


@pytest.fixture(scope="session")
def _truth_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TruthServer]:
    with TruthServer(build(), tmp_path_factory.mktemp("truth") / "truth.jsonl") as server:
        yield server


@pytest.fixture
def truth(_truth_process: TruthServer) -> TruthServer:
    """The Go server that knows when it sent what, its counts at zero and its log empty."""
    _truth_process.reset()
    return _truth_process
