"""Builds the truth server once per version of its source, and runs it."""

import contextlib
import hashlib
import importlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SOURCE = Path(__file__).parent
_FILES = ("main.go", "go.mod")


def _go() -> str:
    """Return the path of a Go toolchain; without one the test is skipped, and on CI it fails."""
    go = os.environ.get("OTEL_LLM_GO") or shutil.which("go")
    on_ci = os.environ.get("CI", "").lower() == "true"
    if not go and on_ci:
        with contextlib.suppress(ImportError):
            go = str(importlib.import_module("tools.golang").find())
    if go:
        return go
    message = "expected go on PATH for the truth server, got none; next step: install Go, or set OTEL_LLM_GO"
    if on_ci:
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def build() -> Path:
    """Return the built server: from the cache, or built into it."""
    digest = hashlib.sha256(b"".join((_SOURCE / name).read_bytes() for name in _FILES)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otel_llm" / "truthserver" / digest
    program = cache / "truthserver"
    if not program.exists():
        go = _go()
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:  # beside it: the rename is then one step
            subprocess.run(
                [go, "build", "-buildvcs=false", "-o", f"{folder}/truthserver", "."], cwd=_SOURCE, check=True
            )
            Path(folder, "truthserver").rename(program)
    return program


_PATIENCE = 200


class TruthServer:
    """The server as a process on a free loopback port; over TLS with a certificate for 127.0.0.1 and its key (PEM)."""

    def __init__(self, program: Path, log: Path, tls: tuple[Path, Path] | None = None) -> None:
        self._program, self._log, self._tls = program, log, tls
        # what is asked here is how the server does, not who it is
        self._context = ssl._create_unverified_context() if tls else None  # noqa: S323
        self.url = ""

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [str(self._program), "-listen", f"127.0.0.1:{port}", "-log", str(self._log)]
        if self._tls:
            command += ["-cert", str(self._tls[0]), "-key", str(self._tls[1])]
        self._child = subprocess.Popen(command, stderr=subprocess.PIPE)
        assert self._child.stderr is not None
        said = self._child.stderr.readline()
        assert b"truthserver on" in said, said
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{port}"
        self._until_it_answers()
        return self

    def __exit__(self, *exc: object) -> None:
        self._child.terminate()
        self._child.communicate()

    def _until_it_answers(self) -> None:
        while self._child.poll() is None:
            with contextlib.suppress(OSError):
                self.stats()
                return

    def _ask(self, path: str, method: str) -> dict[str, Any]:
        request = urllib.request.Request(self.url + path, method=method)
        with urllib.request.urlopen(request, timeout=30, context=self._context) as answer:
            counts: dict[str, Any] = json.load(answer)
            return counts

    def stats(self) -> dict[str, Any]:
        """Return its counts: requests, events, writes, tokens, bytes, inflight, peak, cpu_s, mono_ns."""
        return self._ask("/truth/stats", "GET")

    def reset(self) -> None:
        """Zero the counts and empty the log, once the requests before are over: each would still write its row."""
        for _ in range(_PATIENCE):
            if not self.stats()["inflight"]:
                break
            time.sleep(0.01)  # a test before may have left a server that stalls: its row comes much later, or never
        self._ask("/truth/reset", "POST")

    def log(self) -> list[dict[str, Any]]:
        """Return the rows of the requests that are over, in the order in which they ended."""
        while self.stats()["inflight"]:  # a row is written just after its answer's last byte
            pass
        return [json.loads(line) for line in self._log.read_text().splitlines()]


def first_and_gaps(rows: Sequence[Mapping[str, Any]]) -> tuple[Floats, Floats]:
    """Return when each answer's first token was written after its request, and the gaps between tokens; seconds."""
    first, gaps = [], []
    for row in rows:
        at, seen = [], 0
        for start, _, tokens, _ in row["w"]:
            if tokens > seen:
                at.append(start / 1e9)
                seen = tokens
        first.append(at[0])
        gaps.append(np.diff(at))
    return np.array(first), np.concatenate(gaps)
