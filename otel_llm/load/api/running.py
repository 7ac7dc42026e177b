"""`otel_llm.load.run(...)`: `otel-llm perf` from Python, from a notebook or a test, also awaited."""

import asyncio
import signal
import subprocess
from pathlib import Path
from typing import Any

from otel_llm.load.api.prepared import Prepared, prepare
from otel_llm.load.api.result import LoadRun
from otel_llm.load.child.process import PROGRAM, encoded, interrupt, start

__all__ = ["run", "run_async"]


def run(*, progress: bool = False, **options: Any) -> LoadRun:
    """Run `otel-llm perf` and return what it measured. Its options are keywords: `run(url=…, model=…, parallel=16)`.

    An option's long name has `_` for `-`; lists and mappings are taken where it takes several, such as
    `slo={"ttft": "300ms"}` and `headers={"X-Tenant": "a"}`. The run has a process of its own, in this folder.

    progress: show the live display on standard error
    Raises ConfigError for what cannot be done, before anything is sent. Ctrl-C ends the run in order, then raises.
    """
    with prepare("perf", options) as prepared:
        process = start(prepared.words, prepared.out, None if progress else prepared.err)
        try:
            code = process.wait()
        except KeyboardInterrupt:
            interrupt(process)
            raise
        return _run_of(prepared, code)


async def run_async(*, progress: bool = False, **options: Any) -> LoadRun:
    """Do what `run` does without blocking the loop. One that is cancelled ends its run in order first."""
    with prepare("perf", options) as prepared:
        err = None if progress else prepared.err
        process = await asyncio.create_subprocess_exec(*PROGRAM, stdin=subprocess.PIPE, stdout=prepared.out, stderr=err)
        try:
            await process.communicate(encoded(prepared.words))
        except BaseException:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
                await asyncio.shield(process.wait())
            raise
        return _run_of(prepared, await process.wait())


def _run_of(prepared: Prepared, code: int) -> LoadRun:
    report = prepared.report(code)
    name = prepared.options.get("name")
    path = Path(name) if name is not None else Path(f"{report['run']['name']}.db")
    return LoadRun(report, path, code, prepared.printed)
