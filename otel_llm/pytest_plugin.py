"""What pytest finds by itself: the fixture `otel_llm_load`, load in a test. Nothing is loaded until a test asks for it.

def test_the_first_token_comes_in_time(otel_llm_load):
    run = otel_llm_load.run(url=SERVER, model="m", prompt="hi", rate=5, duration="30s", fail_if=["p99_ttft>500ms"])
    assert run.ok
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from otel_llm.load.api.result import LoadRun
    from otel_llm.load.api.study import LoadStudy

__all__ = ["LoadInTest", "otel_llm_load"]

_Result = TypeVar("_Result", "LoadRun", "LoadStudy")


class LoadInTest:
    """Runs load in a test. Files are in the folder of the test; a test that fails shows what was measured."""

    def __init__(self, folder: Path, test: pytest.Item) -> None:
        self._folder, self._test, self._count = folder, test, 0

    def run(self, **options: Any) -> "LoadRun":
        """Do what `otel_llm.load.run` does."""
        from otel_llm.load.api.running import run

        return self._shown("run", run(**self._named(options)))

    async def run_async(self, **options: Any) -> "LoadRun":
        """Do what `otel_llm.load.run_async` does."""
        from otel_llm.load.api.running import run_async

        return self._shown("run", await run_async(**self._named(options)))

    def sweep(self, **options: Any) -> "LoadStudy":
        """Do what `otel_llm.load.sweep` does."""
        from otel_llm.load.api.studies import sweep

        return self._shown("sweep", sweep(**self._named(options)))

    def find(self, **options: Any) -> "LoadStudy":
        """Do what `otel_llm.load.find` does."""
        from otel_llm.load.api.studies import find

        return self._shown("find", find(**self._named(options)))

    async def sweep_async(self, **options: Any) -> "LoadStudy":
        """Do what `otel_llm.load.sweep_async` does."""
        from otel_llm.load.api.studies import sweep_async

        return self._shown("sweep", await sweep_async(**self._named(options)))

    async def find_async(self, **options: Any) -> "LoadStudy":
        """Do what `otel_llm.load.find_async` does."""
        from otel_llm.load.api.studies import find_async

        return self._shown("find", await find_async(**self._named(options)))

    def _named(self, options: dict[str, Any]) -> dict[str, Any]:
        self._count += 1
        return {"name": str(self._folder / f"load{self._count}.db"), **options}

    def _shown(self, what: str, result: _Result) -> _Result:
        self._test.add_report_section("call", f"otel-llm {what}", result.printed)
        return result


@pytest.fixture
def otel_llm_load(tmp_path: Path, request: pytest.FixtureRequest) -> LoadInTest:
    """Load on a server: `run`, `sweep`, `find`, and each with `_async`, with the options of `otel_llm.load`."""
    return LoadInTest(tmp_path, request.node)
