"""Where workers run. The coordinator does not care: it has a socket for each, whose other end a worker holds."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Protocol

from otel_llm.load.coordinator.clocks import HostClock
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.plan.share import Share

__all__ = ["Crew", "Host", "Started", "WorkerProcess"]


class WorkerProcess(Protocol):
    """The process of a worker, on whatever machine."""

    def kill(self) -> None:
        """End it at once."""
        ...

    def wait(self, timeout_s: float) -> str | None:
        """Return how it ended, in words; None where it has not in so long."""
        ...


@dataclass(frozen=True, slots=True)
class Host:
    """Another machine, on which workers run. clock: how its clocks compare with ours"""

    name: str
    clock: HostClock


@dataclass(frozen=True, slots=True)
class Started:
    """A worker that was started.

    socket: our end of its channel
    file:   takes messages that we are not ready for (`channel.Outbox`); None where memory has to do
    host:   None where it runs on this machine
    """

    process: WorkerProcess
    socket: socket.socket
    file: IO[bytes] | None = None
    host: Host | None = None


class Crew(Protocol):
    """Starts workers."""

    @property
    def lead_ns(self) -> int:
        """How long a word takes to reach all of them, at most."""
        ...

    def start(self, plan: LoadPlan, shares: Sequence[Share]) -> Sequence[Started]:
        """Return a worker for each share, in their order. They get ready, and wait for the start."""
        ...
