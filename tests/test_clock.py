"""Monotonic inside, wall time at the edge."""

import time

from otel_llm.clock import SYSTEM, KernelClock, now_ns


def test_wall_time_is_the_systems() -> None:
    before = time.time_ns()
    wall = SYSTEM.wall_ns(now_ns())
    assert before - 10**6 <= wall <= time.time_ns() + 10**6


def test_intervals_survive_the_conversion() -> None:
    at = now_ns()
    assert SYSTEM.wall_ns(at + 5_000_000_000) - SYSTEM.wall_ns(at) == 5_000_000_000


def test_a_stepped_wall_clock_is_followed_and_counted() -> None:
    clock = KernelClock()
    clock.offset += 3_600_000_000_000  # as if the wall clock had been an hour ahead
    clock.check()
    assert clock.steps == 1
    wall, now = time.clock_gettime_ns(time.CLOCK_REALTIME), now_ns()
    assert abs(wall - now - clock.offset) < 5_000_000
