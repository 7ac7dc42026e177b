"""Time: integer nanoseconds of one monotonic clock, and the one place where they become wall time.

Nothing else in the package reads a clock. `now_ns` counts from an arbitrary origin which all processes of one machine
share (CLOCK_MONOTONIC on Linux), so stamps of several workers, and of a server on the same machine, compare directly.
"""

import time
from typing import Final, Protocol

__all__ = ["SYSTEM", "Clock", "KernelClock", "SystemClock", "cpu_ns", "now_ns"]

now_ns = time.perf_counter_ns
cpu_ns = time.process_time_ns

_ANCHOR_LIFE_NS: Final = 1_000_000_000


class Clock(Protocol):
    """Where stamps come from. `otel_llm.testing.FakeClock` is one that a test moves by hand."""

    def now_ns(self) -> int:
        """Return the monotonic time in nanoseconds."""
        ...

    def wall_ns(self, at_ns: int) -> int:
        """Return the Unix time in nanoseconds of the monotonic moment `at_ns`."""
        ...


def _same_moment() -> tuple[int, int]:
    """Return (monotonic, wall) of one moment: the tightest of a few bracketed readings."""
    samples = []
    for _ in range(9):
        before, wall, after = now_ns(), time.time_ns(), now_ns()
        samples.append((after - before, (before + after) // 2, wall))
    return min(samples)[1:]


class SystemClock:
    """`perf_counter_ns`, with an anchor of two stamps of the same moment to reach wall time.

    The anchor is renewed when it is older than a second: a wall clock that was stepped (by NTP, or by hand) is
    followed within that second and never touches an interval, which is a difference of two monotonic stamps.
    """

    __slots__ = ("_anchor",)

    now_ns = staticmethod(now_ns)

    def __init__(self) -> None:
        self._anchor = _same_moment()

    def wall_ns(self, at_ns: int) -> int:
        mono, wall = self._anchor
        if now_ns() - mono > _ANCHOR_LIFE_NS:
            self._anchor = mono, wall = _same_moment()
        return wall + at_ns - mono


SYSTEM: Final = SystemClock()


class KernelClock:
    """From the kernel's receive stamps, which are wall time, to the monotonic clock.

    Both clocks are slewed alike, so their offset moves only when somebody steps the wall clock. `check`, called about
    once a second, sees that; until then stamps that cannot be true are refused (`otel_llm.wire.arrivals`).
    """

    __slots__ = ("offset", "steps")

    _STEP_NS: Final = 20_000

    def __init__(self) -> None:
        self.offset = self._sample()
        """The wall clock less the monotonic one, ns."""
        self.steps = 0
        """How often the wall clock was stepped while this one watched."""

    @staticmethod
    def _sample() -> int:
        mono, wall = _same_moment()
        return wall - mono

    def check(self) -> None:
        """Follow a wall clock that was stepped."""
        offset = self._sample()
        if abs(offset - self.offset) > self._STEP_NS:
            self.steps += 1
        self.offset = offset
