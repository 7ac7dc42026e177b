"""`otel_llm.load.run(...)`: `otel-llm perf` from Python, from a notebook or a test, also awaited."""

from pathlib import Path
from typing import Any

from otel_llm.load.api.prepared import Prepared, prepare
from otel_llm.load.api.process import carry_out, carry_out_async
from otel_llm.load.api.result import LoadRun

__all__ = ["run", "run_async"]


def run(*, progress: bool = False, **options: Any) -> LoadRun:
    """Run `otel-llm perf` and return what it measured. Its options are keywords: `run(url=…, model=…, parallel=16)`.

    An option's long name has `_` for `-`; lists and mappings are taken where it takes several, such as
    `slo={"ttft": "300ms"}` and `headers={"X-Tenant": "a"}`. The run has a process of its own, in this folder.

    progress: show the live display in a terminal; elsewhere a bar, by tqdm where that is installed, which knows
        notebooks
    Raises ConfigError for what cannot be done, before anything is sent. Ctrl-C ends the run in order, then raises.
    """
    with prepare("perf", options) as prepared:
        return _run_of(prepared, carry_out(prepared, progress=progress))


async def run_async(*, progress: bool = False, **options: Any) -> LoadRun:
    """Do what `run` does without blocking the loop. One that is cancelled ends its run in order first."""
    with prepare("perf", options) as prepared:
        return _run_of(prepared, await carry_out_async(prepared, progress=progress))


def _run_of(prepared: Prepared, code: int) -> LoadRun:
    report = prepared.report(code)
    name = prepared.options.get("name")
    path = Path(name) if name is not None else Path(f"{report['run']['name']}.db")
    return LoadRun(report, path, code, prepared.printed)
