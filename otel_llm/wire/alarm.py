"""One timer at an absolute moment, as fine as the platform has it.

An event loop's own timers count in milliseconds, which is coarser than the gaps between the chunks of a busy server.
On Linux a timerfd wakes the loop within about 0.1 ms; elsewhere the loop's own timer is used.
"""

import asyncio
import ctypes
import os
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final

from otel_llm.clock import now_ns

__all__ = ["LoopAlarm", "Sleeper", "TimerfdAlarm", "make_alarm"]

_CLOCK_MONOTONIC: Final = 1  # what now_ns counts on Linux
_ABSOLUTE: Final = 1
_FLAGS: Final = 0o2000000 | 0o4000  # close on exec, do not block


class _Spec(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_long) for name in ("every_s", "every_ns", "at_s", "at_ns"))


class _Libc:
    """The two functions that `os` has from Python 3.13 on, under the same names, for 3.11 and 3.12."""

    def __init__(self) -> None:
        self._libc, self._spec = ctypes.CDLL(None, use_errno=True), _Spec()
        self._pointer = ctypes.byref(self._spec)

    def timerfd_create(self, clock: int, /, *, flags: int) -> int:
        fd: int = self._libc.timerfd_create(clock, flags)
        if fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        return fd

    def timerfd_settime_ns(self, fd: int, /, *, flags: int, initial: int) -> None:
        self._spec.at_s, self._spec.at_ns = divmod(initial, 1_000_000_000)
        self._libc.timerfd_settime(fd, flags, self._pointer, None)


class TimerfdAlarm:
    """Calls `ring` at the moment that was set last. Each time it has rung, set it again, or to None."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], object]) -> None:
        self._os: Any = os if hasattr(os, "timerfd_create") else _Libc()
        self._fd: int = self._os.timerfd_create(_CLOCK_MONOTONIC, flags=_FLAGS)
        self._loop = loop
        loop.add_reader(self._fd, ring)

    def set(self, at_ns: int | None) -> None:
        """Ring at `at_ns` of the monotonic clock, at once if that is past, or never."""
        # Setting it also takes back the readiness of a timer that rang, so the descriptor is never read.
        self._os.timerfd_settime_ns(self._fd, flags=_ABSOLUTE, initial=0 if at_ns is None else max(at_ns, 1))

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


class LoopAlarm:
    """The same with the event loop's own timers: late by a millisecond or so, never early."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], object]) -> None:
        self._loop, self._ring = loop, ring
        self._handle: asyncio.TimerHandle | None = None

    def set(self, at_ns: int | None) -> None:
        self.close()
        if at_ns is not None:
            self._handle = self._loop.call_later(max(0.0, (at_ns - now_ns()) / 1e9), self._rung, at_ns)

    def _rung(self, at_ns: int) -> None:
        if now_ns() < at_ns:  # a timer's time is rounded to whole milliseconds, and counted from a while ago
            self._handle = self._loop.call_later(0.001, self._rung, at_ns)
        else:
            self._ring()

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


def make_alarm(loop: asyncio.AbstractEventLoop, ring: Callable[[], object]) -> TimerfdAlarm | LoopAlarm:
    """Return the finest alarm of this platform. Close it before the loop."""
    try:
        return TimerfdAlarm(loop, ring)
    except (AttributeError, NotImplementedError, OSError, TypeError):  # no such call, no readers, none allowed
        return LoopAlarm(loop, ring)


class Sleeper:
    """Lets tasks sleep until moments, as finely as the platform's alarm is. Close it before the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._alarm = loop, make_alarm(loop, self._ring)
        self._asleep: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()

    async def until(self, at_ns: int) -> None:
        """Return at `at_ns` of the monotonic clock, or soon after, never before."""
        woken = self._loop.create_future()
        heappush(self._asleep, (at_ns, next(self._order), woken))
        if self._asleep[0][2] is woken:
            self._alarm.set(at_ns)
        await woken

    def close(self) -> None:
        self._alarm.close()

    def _ring(self) -> None:
        now = now_ns()
        while self._asleep and self._asleep[0][0] <= now:
            woken = heappop(self._asleep)[2]
            if not woken.done():  # whose task was cancelled
                woken.set_result(None)
        self._alarm.set(self._asleep[0][0] if self._asleep else None)
