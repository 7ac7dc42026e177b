"""An agent runs one worker on the machine where it is itself, and passes on what is said, unread.

The worker has a process of its own, the same function as on the coordinator's machine: what else the agent's process
does (it may be an actor, with threads of its framework) stands between no packet and its stamp.
"""

import os
import platform
import select
import socket
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import version
from multiprocessing.reduction import ForkingPickler
from typing import Final

from otel_llm.clock import SYSTEM, now_ns
from otel_llm.load.coordinator.descriptors import raise_descriptor_limit
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.plan.share import Share

__all__ = ["Agent"]

_POLL_S: Final = 0.25
_READ: Final = 1 << 20
_MOST: Final = 4 << 20
_PATIENCE_S: Final = 2


class Agent:
    """Starts a worker at once. Its methods are called from the coordinator's machine, from two threads."""

    def __init__(self, plan: LoadPlan, share: Share) -> None:
        raise_descriptor_limit(plan, [share])
        self._socket, far = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "otel_llm.load.worker", str(far.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[far.fileno()],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        far.close()
        assert self._process.stdin is not None  # noqa: S101  # it was asked for
        with self._process.stdin as pipe:
            pipe.write(ForkingPickler.dumps((plan, share)))

    def about(self) -> tuple[str, str]:
        """Return the name of this machine, and the version of this software on it."""
        return platform.node(), version("otel-llm")

    def clock(self) -> tuple[int, int]:
        """Return what the clocks of this machine read: monotonic ns, and Unix time in ns."""
        now = now_ns()
        return now, SYSTEM.wall_ns(now)

    def receive(self) -> bytes | None:
        """Return what the worker has said since the last call; None for nothing in a while, b"" when it has ended."""
        found = bytearray()
        while len(found) < _MOST and select.select([self._socket], [], [], 0 if found else _POLL_S)[0]:
            try:
                data = self._socket.recv(_READ)
            except OSError:
                data = b""
            if not data:
                return bytes(found)  # its end is read again
            found += data
        return bytes(found) or None

    def tell(self, word: bytes) -> None:
        """Pass a word of the coordinator on to the worker; b"" says that the coordinator is gone."""
        with suppress(OSError):
            if word:
                self._socket.sendall(word)
            else:
                self._socket.shutdown(socket.SHUT_WR)

    def end(self) -> str:
        """Return how the worker's process ended, in words; one that does not end is killed."""
        try:
            code = self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return f"exit code {code}"
