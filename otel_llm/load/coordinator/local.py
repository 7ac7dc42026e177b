"""Workers as processes of this machine."""

import gc
import multiprocessing
import socket
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from typing import IO, Final

from otel_llm.load.coordinator.crew import Started
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.plan.share import Share
from otel_llm.load.worker.worker import work

__all__ = ["LOCAL", "LocalCrew"]


class LocalCrew:
    """Processes of this machine, forked where that is safe: so they are started before any thread is."""

    lead_ns: Final = 10_000_000

    def start(self, plan: LoadPlan, shares: Sequence[Share]) -> Sequence[Started]:
        forks = sys.platform == "linux"
        context = multiprocessing.get_context("fork") if forks else multiprocessing.get_context("spawn")
        ours: list[socket.socket] = []
        found = list[Started]()
        for share in shares:
            near, far = socket.socketpair()
            ours.append(near)
            file = _overflow() if forks else None
            arguments = (plan, share, far, None if file is None else file.fileno(), ours if forks else [])
            process = context.Process(target=_in_child, args=arguments, daemon=True)
            process.start()
            far.close()
            found.append(Started(_Child(process), near, file))
        return found


class _Child:
    def __init__(self, process: BaseProcess) -> None:
        self._process = process

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout_s: float) -> str | None:
        self._process.join(timeout=timeout_s)
        return None if self._process.exitcode is None else f"exit code {self._process.exitcode}"


def _overflow() -> IO[bytes] | None:
    """Return a file for messages that cannot be taken yet; None where there is no place for one: memory has to do."""
    try:
        return tempfile.TemporaryFile(prefix="otel-llm-", buffering=0)
    except OSError:
        return None


def _in_child(
    plan: LoadPlan, share: Share, sock: socket.socket, file: int | None, inherited: list[socket.socket]
) -> None:
    # what lies about of the parent is not for a child to finalize: its threads are not here (grpc would wait for them)
    gc.freeze()
    # a copy of the coordinator's ends would keep them open, and a worker would not notice that its coordinator is gone
    for other in inherited:
        other.close()
    work(plan, share, sock, file)


LOCAL: Final = LocalCrew()
