"""How a fault is brought about, once its moment has come."""

import resource
import signal
import sqlite3
import time
from pathlib import Path
from subprocess import Popen
from typing import Final

import psutil

from benchmarks.faults.servers import Silent
from otel_llm.testing import ScriptedServer

__all__ = ["inject"]

_LOCKED_S: Final = 1.0
_ROOM: Final = 100_000
_SIGNALS: Final = {
    "SIGINT": [signal.SIGINT],
    "SIGINT twice": [signal.SIGINT, signal.SIGINT],
    "SIGTERM": [signal.SIGTERM],
    "SIGHUP": [signal.SIGHUP],
    "a worker stopped, then SIGTERM": [signal.SIGTERM],
}
_WORKER: Final = {"a worker killed": signal.SIGKILL, "a worker stopped, then SIGTERM": signal.SIGSTOP}


def inject(fault: str, process: "Popen[str]", server: ScriptedServer | Silent, run_file: Path) -> None:
    """Bring about a fault. Those that a server makes by itself, and a receiver that is not there, need nothing."""
    if fault in _WORKER:
        psutil.Process(process.pid).children()[0].send_signal(_WORKER[fault])
    for number in _SIGNALS.get(fault, []):
        process.send_signal(number)
        time.sleep(0.02)  # two that come at once are one
    if fault == "server gone":
        server.__exit__(None, None, None)
    elif fault == "run file locked for 1 s":
        _lock(run_file)
    elif fault == "disk full":
        most = max(_ROOM, run_file.stat().st_size)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, most))


def _lock(run_file: Path) -> None:
    other = sqlite3.connect(run_file, isolation_level=None, timeout=10)
    try:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(_LOCKED_S)
        other.rollback()
    finally:
        other.close()
