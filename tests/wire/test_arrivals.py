"""When reads arrived: the kernel's stamps on our clock, for one read and for all, through steps of the wall clock."""

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.clock import KernelClock, now_ns
from otel_llm.load.coordinator.reckoning import moments
from otel_llm.wire.arrivals import NO_STAMP, Arrivals
from otel_llm.wire.connection import note_reads

MS = 1_000_000


def stamp(wall_ns: int) -> bytes:
    return struct.pack("qq", *divmod(wall_ns, 1_000_000_000))


def test_a_kernel_stamp_becomes_the_same_moment_on_our_clock() -> None:
    clock, arrivals = KernelClock(), Arrivals()
    wall, own = time.clock_gettime_ns(time.CLOCK_REALTIME), now_ns()
    note_reads(arrivals, [own], [stamp(wall)], clock.offset)
    (at,), (lag,) = moments([arrivals])
    assert at == own - lag
    assert 0 <= lag < 5 * MS


def test_a_stamp_from_the_future_or_of_long_ago_gives_way_to_our_own() -> None:
    arrivals, own, offset = Arrivals(), 10**12, 10**18
    stamps = [stamp(own + offset + 1), stamp(own + offset - 5_000 * MS), stamp(own + offset - 4_999 * MS), NO_STAMP]
    note_reads(arrivals, [own] * 4, stamps, offset)
    at, lag = moments([arrivals])
    assert lag.tolist() == [0, 0, 4_999 * MS, 0]
    assert at.tolist() == [own, own, own - 4_999 * MS, own]


def test_reads_before_a_step_of_the_wall_clock_are_reckoned_as_it_stood_then() -> None:
    arrivals, offset, step = Arrivals(), 10**18, 3_600_000 * MS
    note_reads(arrivals, [100 * MS, 110 * MS], [stamp(99 * MS + offset), stamp(109 * MS + offset)], offset)
    note_reads(arrivals, [120 * MS], [stamp(119 * MS + offset + step)], offset + step)
    note_reads(arrivals, [130 * MS], [stamp(129 * MS + offset + step)], offset + step)
    assert moments([arrivals])[0].tolist() == [99 * MS, 109 * MS, 119 * MS, 129 * MS]
    assert [arrivals.at(number) for number in (1, 2, 3, 4)] == [99 * MS, 109 * MS, 119 * MS, 129 * MS]


def test_without_the_kernels_stamps_our_own_are_the_moments() -> None:
    arrivals = Arrivals()
    note_reads(arrivals, [5])
    note_reads(arrivals, [7, 8])
    at, lag = moments([arrivals])
    assert (at.tolist(), lag.tolist()) == ([5, 7, 8], [0, 0, 0])
    assert arrivals.at(2) == 7


def test_of_no_answers_there_are_no_moments() -> None:
    assert [len(column) for column in moments([])] == [0, 0]
    assert [len(column) for column in moments([Arrivals(), Arrivals()])] == [0, 0]


reads = st.lists(st.tuples(st.integers(0, 2**40), st.integers(-(2**33), 2**33), st.booleans()), max_size=6)
answers = st.lists(st.lists(st.tuples(reads.filter(bool), st.integers(-(10**18), 10**18)), max_size=4), max_size=4)


@given(answers, st.booleans())
def test_one_by_one_or_many_at_once_is_the_same(
    answers: list[list[tuple[list[tuple[int, int, bool]], int]]], kernel: bool
) -> None:
    found = []
    for parts in answers:
        arrivals = Arrivals()
        for part, offset in parts:
            stamps = [stamp(own + offset - lag) if there else NO_STAMP for own, lag, there in part]
            own = [own for own, _, _ in part]
            note_reads(arrivals, own, stamps, offset) if kernel else note_reads(arrivals, own)
        found.append(arrivals)
    at, _ = moments(found)
    assert at.tolist() == [arrivals.at(n) for arrivals in found for n in range(1, arrivals.count + 1)]


@pytest.mark.parametrize("count", [1, 3])
def test_parts_of_any_size_are_one_answer(count: int) -> None:
    arrivals = Arrivals()
    for start in range(0, 12, count):
        note_reads(arrivals, range(start, start + count))
    assert moments([arrivals])[0].tolist() == list(range(12))
