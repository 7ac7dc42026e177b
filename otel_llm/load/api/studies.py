"""`otel_llm.load.sweep(...)` and `find(...)`: `otel-llm sweep` and `otel-llm find` from Python, also awaited."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from otel_llm.load.api.prepared import Prepared, prepare
from otel_llm.load.api.process import carry_out, carry_out_async
from otel_llm.load.api.study import LoadStudy
from otel_llm.load.commands import find as find_command
from otel_llm.load.commands import sweep as sweep_command

__all__ = ["find", "find_async", "sweep", "sweep_async"]


def sweep(*, progress: bool = False, **options: Any) -> LoadStudy:
    """Run `otel-llm sweep` and return its points. Its options are keywords: `sweep(rate="1..64:x2", number=200)`.

    Options are those of `run` and of the command. A study that was interrupted goes on when it is called again, with
    the same `name`.

    progress: show each point as it ends, by tqdm where that is installed, which knows notebooks
    Raises as `run` does.
    """
    with _sweep(options) as prepared:
        return _study_of(prepared, carry_out(prepared, progress=progress))


async def sweep_async(*, progress: bool = False, **options: Any) -> LoadStudy:
    """Do what `sweep` does without blocking the loop. One that is cancelled goes on when it is called again."""
    with _sweep(options) as prepared:
        return _study_of(prepared, await carry_out_async(prepared, progress=progress))


def find(*, progress: bool = False, **options: Any) -> LoadStudy:
    """Run `otel-llm find` and return its bracket: `find(url=…, slo={"ttft": "300ms"}, duration="2min").holds`.

    Options, `progress` and errors are as for `sweep`.
    """
    with _find(options) as prepared:
        return _study_of(prepared, carry_out(prepared, progress=progress))


async def find_async(*, progress: bool = False, **options: Any) -> LoadStudy:
    """Do what `find` does without blocking the loop. One that is cancelled goes on when it is called again."""
    with _find(options) as prepared:
        return _study_of(prepared, await carry_out_async(prepared, progress=progress))


def _sweep(options: dict[str, Any]) -> AbstractContextManager[Prepared]:
    return prepare("sweep", options, sweep_command.add_arguments)


def _find(options: dict[str, Any]) -> AbstractContextManager[Prepared]:
    return prepare("find", options, find_command.add_arguments)


def _study_of(prepared: Prepared, code: int) -> LoadStudy:
    report = prepared.report(code)
    return LoadStudy(report, Path(report["study"]["path"]), code, prepared.printed)
