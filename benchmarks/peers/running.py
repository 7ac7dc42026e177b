"""Run a command to its end and count the CPU time of all processes that it started.

A process counts when it is waited for. On Linux those that a tool leaves behind become children of this process instead
of init's, and are waited for here; elsewhere they are missed. None outlives the run.
"""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Run", "adopt_orphans", "run"]

_PR_SET_CHILD_SUBREAPER = 36
_LEAVE_S = 15.0


@dataclass(frozen=True, slots=True)
class Run:
    """How a command ended: CPU seconds of its processes, seconds that it took, and what it printed."""

    code: int
    cpu_s: float
    wall_s: float
    said: str


def adopt_orphans() -> None:
    """Have the orphans of this process's descendants become its children (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(command: list[str], folder: Path, limit_s: float = 300.0) -> Run:
    """Run `command` in `folder`; after `limit_s` seconds it is killed, and its code is not 0."""
    others = {process.pid for process in psutil.Process().children()}
    before, began = _cpu(), time.monotonic()
    said = folder / "said.txt"
    with said.open("wb") as output:
        child = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            child.wait(limit_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            took = time.monotonic() - began
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            _reap(others)
    return Run(child.returncode, _cpu() - before, took, said.read_text(errors="replace"))


def _reap(others: set[int]) -> None:
    """Wait for what was left behind, and end what does not end."""
    left = [process for process in psutil.Process().children() if process.pid not in others]
    _, alive = psutil.wait_procs(left, timeout=_LEAVE_S)
    while alive:
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=_LEAVE_S)
        alive = [process for process in psutil.Process().children() if process.pid not in others]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
