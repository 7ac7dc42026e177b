"""The most memory that a process and all its descendants had at any moment."""

import contextlib
import threading
from typing import Self

import psutil

__all__ = ["Peak"]

_EVERY_S = 0.05


class Peak:
    """Watches from its start to the end of the block.

    resident: bytes, the processes' resident sets added up, so that what they share counts for each of them
    once:     bytes, what they share counted once (PSS), of the same moment, 0 where the system does not say
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.resident = self.once = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_EVERY_S):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                processes = [self._root, *self._root.children(recursive=True)]
                now = sum(process.memory_info().rss for process in processes)
                if now > self.resident:
                    self.resident = now
                    self.once = sum(getattr(process.memory_full_info(), "pss", 0) for process in processes)
