"""`otel-llm perf` as a person runs it: a process, its exit code, what it printed, what it wrote."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Perf:
    """A run of the command in a folder of its own."""

    folder: Path
    process: subprocess.Popen[str] | None = None
    out: str = ""
    err: str = ""
    code: int | None = None
    arguments: tuple[str, ...] = field(default=())

    def start(self, *arguments: str, env: dict[str, str] | None = None) -> "Perf":
        self.arguments = (*arguments, "--name", "run.db", "--json", "report.json")
        command = [sys.executable, "-m", "otel_llm.cli", "perf", *self.arguments]
        self.process = subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
        )
        return self

    def wait(self, timeout_s: float = 60) -> "Perf":
        assert self.process is not None
        self.out, self.err = self.process.communicate(timeout=timeout_s)
        self.code = self.process.returncode
        assert "Traceback" not in self.err, self.err
        return self

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    @property
    def report(self) -> dict[str, Any]:
        return json.loads((self.folder / "report.json").read_text())

    @property
    def run_file(self) -> Path:
        return self.folder / "run.db"


@pytest.fixture
def perf(tmp_path: Path) -> Iterator[Callable[..., Perf]]:
    """Return `perf(*arguments)`, which runs `otel-llm perf` and waits; `perf.start(...)` does not wait."""
    runs: list[Perf] = []

    class Runner:
        def start(self, *arguments: str, **options: Any) -> Perf:
            folder = tmp_path / f"run{len(runs)}"
            folder.mkdir()
            runs.append(Perf(folder))
            return runs[-1].start(*arguments, **options)

        def __call__(self, *arguments: str, **options: Any) -> Perf:
            return self.start(*arguments, **options).wait()

    yield Runner()
    for run in runs:
        if run.process is not None and run.process.poll() is None:
            run.process.send_signal(signal.SIGKILL)
            run.process.wait()
