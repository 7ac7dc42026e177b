"""`otel_llm.load.sweep(...)` and `find(...)`: `otel-llm sweep` and `otel-llm find` from Python, or from a notebook."""

import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from subprocess import PIPE
from typing import Any

from otel_llm.load.api.prepared import prepare
from otel_llm.load.api.study import LoadStudy
from otel_llm.load.child.process import interrupt, start
from otel_llm.load.child.words import AddArguments
from otel_llm.load.commands import find as find_command
from otel_llm.load.commands import sweep as sweep_command

__all__ = ["find", "sweep"]


def sweep(*, progress: bool = False, **options: Any) -> LoadStudy:
    """Run `otel-llm sweep` and return its points. Its options are keywords: `sweep(rate="1..64:x2", number=200)`.

    Options are those of `run` and of the command. A study that was interrupted goes on when it is called again, with
    the same `name`.

    progress: show each point as it ends, by tqdm where that is installed, which knows notebooks
    Raises as `run` does.
    """
    return _study("sweep", options, sweep_command.add_arguments, progress=progress)


def find(*, progress: bool = False, **options: Any) -> LoadStudy:
    """Run `otel-llm find` and return its bracket: `find(url=…, slo={"ttft": "300ms"}, duration="2min").holds`.

    Options, `progress` and errors are as for `sweep`.
    """
    return _study("find", options, find_command.add_arguments, progress=progress)


def _study(command: str, options: dict[str, Any], add: AddArguments, *, progress: bool) -> LoadStudy:
    with prepare(command, options, add) as prepared:
        process = start(prepared.words, prepared.out, PIPE if progress else prepared.err)
        try:
            if process.stderr is not None:
                prepared.err.write(_show(command, process.stderr))
            code = process.wait()
        except KeyboardInterrupt:
            interrupt(process)
            raise
        report = prepared.report(code)
        return LoadStudy(report, Path(report["study"]["path"]), code, prepared.printed)


def _show(command: str, lines: Iterable[bytes]) -> bytes:
    """Show the lines of a study as they come, a point each, and return them."""
    seen = []
    with _bar(command) as bar:
        for line in lines:
            seen.append(line)
            text = line.decode("utf-8", "replace").strip()
            if bar is None:
                sys.stderr.write(f"{text}\n")
            else:
                bar.set_postfix_str(text)
                bar.update()
    return b"".join(seen)


def _bar(command: str) -> AbstractContextManager[Any]:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return nullcontext()
    return tqdm(desc=command, unit=" points")  # type: ignore[no-any-return]
