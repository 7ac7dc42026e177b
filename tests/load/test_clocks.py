"""Clocks of two machines, compared over a connection with delays; a run whose workers have another clock."""

import random

import pytest

from otel_llm.load.coordinator.clocks import HostClock, compare_clocks
from otel_llm.measures import Facts
from otel_llm.testing import FakeClock
from tests.load.test_merge import record

MS = 1_000_000
AHEAD = 200 * MS


class Far:
    """Another machine: its wall clock is 200 ms ahead, its monotonic one is another; a word takes 5 ms, or more."""

    def __init__(self, clock: FakeClock, dice: random.Random, drift: float = 0.0) -> None:
        self.clock, self.dice, self.drift = clock, dice, drift

    def __call__(self) -> tuple[int, int]:
        self._travel()
        now = self.clock.now_ns()
        read = round(now * self.drift) + now + 7_000_000_000_123, self.clock.wall_ns(now) + AHEAD
        self._travel()
        return read

    def _travel(self) -> None:
        self.clock.advance(seconds=(5 + self.dice.expovariate(1 / 2)) / 1e3)


@pytest.mark.parametrize("seed", range(20))
def test_an_offset_is_found_within_the_bound_that_is_stated(seed: int) -> None:
    clock = FakeClock()
    found = compare_clocks(Far(clock, random.Random(seed)), clock)
    assert abs(found.wall_ns - AHEAD) <= found.bound_ns < 10 * MS
    assert abs(found.monotonic_ns - 7_000_000_000_123) <= found.bound_ns
    assert abs(found.wall_ns - AHEAD) < 1 * MS, "the shortest exchange is nearly as long in both directions"


def test_drift_is_what_the_clocks_moved_apart_during_a_run() -> None:
    clock = FakeClock()
    far = HostClock(Far(clock, random.Random(0), drift=50e-6), clock)
    clock.advance(seconds=600)
    report = far.report()
    assert report["drift"] == pytest.approx(0.030, abs=0.001)
    assert report["offset"] == pytest.approx(0.2, abs=report["bound"])


def test_of_a_machine_that_is_lost_no_drift_is_known() -> None:
    clock = FakeClock()
    far = Far(clock, random.Random(0))
    host = HostClock(far, clock)
    far.drift = float("nan")  # any failure to answer
    assert host.report()["drift"] is None


def test_a_record_on_another_clock_has_the_same_durations() -> None:
    """Every moment moves, and nothing else."""
    one = record(1, 5_000 * MS, [3, 4, 5])
    other = one.moved(AHEAD)
    assert other.moved(-AHEAD) == one
    moments = [name for name in one.__struct_fields__ if name.endswith("_ns") and name != "connect_ns"]
    for name in moments:
        at, later = getattr(one, name), getattr(other, name)
        assert later == (None if at is None else at + AHEAD), name
    assert [b - a for a, b in zip(one.chunks.at_ns, other.chunks.at_ns, strict=True)] == [AHEAD] * len(one.chunks)
    a, b = Facts.of(one, other)
    assert a.time_to_first_token == b.time_to_first_token
    assert list(a.inter_token_latencies) == list(b.inter_token_latencies)
