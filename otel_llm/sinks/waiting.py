"""Calls that ended since somebody last collected: their metrics are recorded together, for a fraction of the price.

What the SDK does for one value it need not do again for the next, so that many cost little more than one. Nothing
comes late by it: a collection first asks the callbacks of observable instruments, and that of the calls under way has
these recorded. With an SDK that does otherwise, and with a provider of another kind, no call waits.
"""

import os
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

__all__ = ["WaitingCalls"]

_MANY: Final = 32
"""Calls that wait at most: what they hold stays small, and recording them takes a fraction of a millisecond."""
_Call = TypeVar("_Call")
_ALL: "Final[weakref.WeakSet[WaitingCalls[Any]]]" = weakref.WeakSet()


class WaitingCalls(Generic[_Call]):
    """The calls of one sink that wait. Any thread may add one or have them recorded; each is recorded once."""

    def __init__(self, record: Callable[[Sequence[_Call]], None]) -> None:
        """record: takes them, oldest first; does not raise"""
        self._record = record
        self._waiting: deque[_Call] = deque()
        _ALL.add(self)

    def add(self, call: _Call, *, long: bool = False) -> None:
        """Let a call wait; when there are many, or it is a long one, all are recorded now."""
        self._waiting.append(call)
        if long or len(self._waiting) >= _MANY:
            self.record()

    def record(self) -> None:
        """Record all that wait."""
        calls: list[_Call] = []
        while self._waiting:
            try:
                calls.append(self._waiting.popleft())
            except IndexError:  # another thread took the last one
                break
        if calls:
            self._record(calls)

    def forget(self) -> None:
        """Let none of those that wait be recorded here."""
        self._waiting.clear()


def _forget_all() -> None:
    """In a forked child: what waits is the parent's to tell."""
    for calls in tuple(_ALL):
        calls.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
