"""`app.py` as a process."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.waiting import until

APP = Path(__file__).with_name("app.py")
WORKS_S, ENDS_S = 40.0, 20.0


class App:
    """The application, until the block ends; after `finish`, `out` is what it printed.

    measured: what its calls measured by themselves, `ttft` and `itl` in seconds
    """

    def __init__(self, folder: Path, setup: str, calls: int, tokens: int, pause_ms: float = 1.0) -> None:
        self._file, self._printed = folder / "measured.json", folder / "printed"
        self._arguments = [str(self._file), setup, str(calls), str(tokens), str(pause_ms)]
        self.run_id, self.out = uuid.uuid4().hex, ""
        self.measured: dict[str, list[float]] = {}

    def start(self, under: Sequence[str] = (), env: Mapping[str, str] | None = None) -> Self:
        """Run it, `under` another program or by itself, and come back when it has made its calls."""
        named = {"OTEL_RESOURCE_ATTRIBUTES": f"otel_llm.run.id={self.run_id}", "PYTHONUNBUFFERED": "1"}
        with self._printed.open("w") as printed:  # a pipe that nobody empties would stop the exporter
            self._process = subprocess.Popen(
                [*under, sys.executable, str(APP), *self._arguments],
                env={**os.environ, **named, **(env or {})},
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=subprocess.PIPE,
                text=True,
            )
        try:
            until(lambda: self._file.exists() or self._process.poll() is not None, WORKS_S)
            assert self._file.exists(), self.finish()
        except BaseException:
            self._process.kill()
            raise
        self.measured = json.loads(self._file.read_text())
        return self

    def finish(self) -> str:
        """Let it end, which exports what is left; returns what it said on standard error."""
        _, said = self._process.communicate(timeout=ENDS_S)
        self.out = self._printed.read_text()
        return said

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
