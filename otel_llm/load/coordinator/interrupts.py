"""Ctrl-C, SIGTERM and SIGHUP as requests for an orderly end."""

import signal
from types import FrameType
from typing import Final, Self

from otel_llm.load.worker.channel import INTERRUPTS

__all__ = ["Interrupts"]

_OUT_OF_PATIENCE: Final = 4


class Interrupts:
    """While entered, signals that ask for an end are counted; what waits looks here. The fourth raises.

    An exception in the middle of an end would lose what is being written, and terminals send Ctrl-C more than once.

    last: the process ends after this. One that was asked to end then ignores these signals, so that its exit code stays
    """

    def __init__(self, *, last: bool = False) -> None:
        self._count = 0
        self._last = last

    def asked(self) -> bool:
        """Return whether the run is to end."""
        return self._count >= 1

    def hurried(self) -> bool:
        """Return whether it was asked more than once: then nothing is waited for that can be left out."""
        return self._count >= 2

    def __enter__(self) -> Self:
        # what nohup has switched off stays off
        ours = [
            number for number in INTERRUPTS if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN
        ]
        self._before = {number: signal.signal(number, self._ask) for number in ours}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._last and self.asked() else handler)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._count >= _OUT_OF_PATIENCE:
            raise KeyboardInterrupt
