"""The simulated server in a process of its own, so that it does not compete with the client for one interpreter."""

import http.client
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import orjson

from otel_llm.errors import ConfigError, RemoteError
from otel_llm.sim.behaviour import Behaviour

__all__ = ["SimProcess"]


class SimProcess:
    """A child that serves until the block ends; it also ends when this process does, however that ends.

    with SimProcess(Behaviour(ttft_ms=200, itl_ms=20), log=True) as sim:
        ask(sim.url + "/v1/chat/completions")
        sim.log()[0]["first_token"]

    log:  keep the rows (see `otel_llm.sim.truth`) in a temporary file
    grpc: answer by gRPC too, at `grpc_url`
    """

    def __init__(
        self, behaviour: Behaviour | None = None, *, port: int = 0, log: bool = False, grpc: bool = False
    ) -> None:
        self._behaviour, self._port, self._keeps, self._by_grpc = behaviour or Behaviour(), port, log, grpc
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self.url = self.grpc_url = ""

    @property
    def pid(self) -> int | None:
        """The child's process id, None outside the block."""
        return self._child.pid if self._child else None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "otel_llm.cli", "sim", "--port", str(self._port), "--until-stdin-ends"]
        command += self._behaviour.as_options()
        if self._by_grpc:
            command += ["--grpc-port", "0"]
        if self._keeps:
            self._folder = tempfile.TemporaryDirectory(prefix="otel-llm-sim-")
            command += ["--log", str(self._log_path())]
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": "1"}
        )
        said = self._child.stdout.readline().decode() if self._child.stdout else ""
        if "http://" not in said:
            self.__exit__()
            raise RemoteError("sim", "the simulated server to start", said, "its own message is above")
        self.url, _, self.grpc_url = said.removeprefix("listening on ").strip().partition(" and ")
        return self

    def __exit__(self, *exc: object) -> None:
        if self._child is not None:
            self._child.communicate()  # closes its standard input, which ends it
            self._child = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _log_path(self) -> Path:
        if self._folder is None:
            raise ConfigError("a SimProcess that keeps its log", self, "make it with log=True")
        return Path(self._folder.name) / "sent.jsonl"

    def log(self) -> list[dict[str, Any]]:
        """Return the rows of the requests that ended. An answer that was read to its last byte has its row."""
        self.stats()  # is answered after the rows of earlier requests were written
        return [orjson.loads(line) for line in self._log_path().read_bytes().splitlines()]

    def stats(self) -> dict[str, Any]:
        """Return `GET /sim/stats`: counts of requests, tokens, events, writes and bytes, inflight, peak, waiting for a
        slot, cpu_s and cpu_system_s (CPU seconds of the process since its start, and the kernel's share of them),
        mono_ns."""
        return self._ask("GET", "/sim/stats")

    def reset(self) -> dict[str, Any]:
        """Forget every row, count from zero and return the stats of that moment."""
        return self._ask("POST", "/sim/reset")

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
        try:
            connection.request(method, path)
            answer: dict[str, Any] = orjson.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()
