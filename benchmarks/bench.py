"""One run of `otel-llm perf` with everything on, or of the floor, against a truth server, and what it used."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.resident import Peak
from tests.truthserver.process import TruthServer

__all__ = ["INSTALLED", "Bench"]

INSTALLED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""The environment of a program that is installed: its modules are not compiled at every start."""


def cpu() -> float:
    """Return the CPU seconds of all child processes that have been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Bench:
    """Runs against `truth`, with telemetry to the OTLP receiver at `endpoint`; without any where that is empty.

    ca: a file with the authority that vouches for the server, where it speaks TLS
    """

    def __init__(self, truth: TruthServer, endpoint: str, ca: str = "") -> None:
        self.truth, self.endpoint, self.ca = truth, endpoint, ca

    def command(self, streams: int, requests: int, tokens: int, knobs: str, *more: str) -> list[str]:
        url = f"{self.truth.url}/x/{knobs};tokens={tokens}/v1/chat/completions"
        return [
            sys.executable, "-m", "otel_llm.cli", "perf", "--url", url, "--model", "m", "--prompt", "hello " * 50,
            "--parallel", str(streams), "-n", str(requests), "--log-every-n-query", "1000000",
            "--name", "run.db", "--json", "report.json",
            *(["--otlp-endpoint", self.endpoint] if self.endpoint else []),
            *(["--ca", self.ca] if self.ca else []), *more,
        ]  # fmt: skip

    def perf(self, streams: int, requests: int, tokens: int, knobs: str, *more: str) -> tuple[float, dict[str, Any]]:
        """Run it; return the CPU seconds of all its processes, and its report."""
        with tempfile.TemporaryDirectory() as folder:
            before = cpu()
            command = self.command(streams, requests, tokens, knobs, *more)
            subprocess.run(command, cwd=folder, env=INSTALLED, check=True, capture_output=True)
            return cpu() - before, json.loads((Path(folder) / "report.json").read_text())

    def memory(self, streams: int, requests: int, tokens: int, knobs: str, *more: str) -> Peak:
        """Run it; return the most memory that its processes had."""
        with tempfile.TemporaryDirectory() as folder:
            command = self.command(streams, requests, tokens, knobs, *more)
            quiet = subprocess.DEVNULL
            child = subprocess.Popen(command, cwd=folder, env=INSTALLED, stdout=quiet, stderr=quiet)
            with Peak(child.pid) as peak:
                code = child.wait()
            if code:
                raise subprocess.CalledProcessError(code, command)
            return peak

    def floor(
        self, streams: int, requests: int, tokens: int, knobs: str, kind: str, ramp_s: float = 0
    ) -> dict[str, float]:
        """Return what benchmarks.floor prints."""
        place = urlsplit(self.truth.url)
        path = f"/x/{knobs};tokens={tokens}/v1/chat/completions"
        sizes = [str(number) for number in (streams, requests, tokens, ramp_s)]
        words = [str(place.hostname), str(place.port), path, *sizes, kind, *([self.ca] if self.ca else [])]
        command = [sys.executable, "-m", "benchmarks.floor", *words]
        found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return found
