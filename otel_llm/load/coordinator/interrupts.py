"""Ctrl-C and SIGTERM as requests for an orderly end."""

import signal
from types import FrameType
from typing import Self

__all__ = ["Interrupts"]


class Interrupts:
    """While entered, Ctrl-C and SIGTERM are noted; a second one raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self._asked = False

    def asked(self) -> bool:
        return self._asked

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
