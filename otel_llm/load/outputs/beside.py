"""`otel-llm perf --view`: the live page beside a run, in a process of its own that gives way to the run.

It reads the run file while it grows, and receives the spans of the server: the run itself sends it nothing.
"""

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["ViewBeside"]


class ViewBeside:
    """A page that is there until the block ends, and after it as long as somebody looks at it."""

    def __init__(self, run_file: Path, *, open_browser: bool) -> None:
        self._command = [sys.executable, "-m", "otel_llm.cli", "view", "--beside", str(run_file.absolute())]
        self._command += ["--open"] if open_browser else []

    def start(self) -> list[str]:
        """Start it and return what it says when it is ready: the address of the page, and where it receives.

        What starting it costs is over then, and not the run's.
        """
        self._child = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,  # it ends when this does, however this ends
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C is for the run
        )
        said = self._child.stdout
        return [line.rstrip("\n") for line in (said.readline(), said.readline()) if line] if said else []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child.stdin is not None:
            self._child.stdin.close()
        self._child.returncode = 0  # it is left to itself, on purpose
