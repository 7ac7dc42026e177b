"""When requests are to be sent: arrival processes, stages, given moments; whoever sends them."""

import asyncio
import math
from array import array
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice, pairwise, takewhile
from typing import Any, cast

import numpy as np
import pytest

from otel_llm.clock import now_ns
from otel_llm.errors import ConfigError
from otel_llm.load.plan.arrivals import arrival_moments
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.plan.share import Share
from otel_llm.load.plan.stages import Floats, Stages
from otel_llm.load.worker import open_loop, worker
from otel_llm.load.worker.open_loop import OpenLoop
from otel_llm.load.worker.pacing import Pacing
from otel_llm.load.worker.prepared import Prepared
from otel_llm.load.worker.raw import Raw
from otel_llm.load.worker.stock import deal
from otel_llm.sinks.stored_run import read_records
from otel_llm.wire.alarm import Sleeper, make_alarm
from otel_llm.wire.loop import new_loop
from tests.load.conftest import Perf
from tests.load.test_dealing import NoPool
from tests.load.test_exchange import PLAN
from tests.load.test_perf import chat
from tests.truthserver.process import TruthServer

Run = Callable[..., Perf]

MS = 1_000_000
PROCESSES = ("constant", "poisson", "uniform", "gamma:0.5", "gamma:2")


def at_rate(rate: float, process: str = "poisson", seed: int = 3, count: int = 20_001) -> Floats:
    """Return the moments of a process, in seconds."""
    return np.array(list(islice(arrival_moments(process, Stages.steady(rate), seed), count))) / 1e9


def gamma_below(shape: float, x: Floats) -> Floats:
    """Return the share of a gamma distribution with a mean of 1 that is below x, by its power series."""
    x = x * shape
    terms = np.array([x**n / math.gamma(shape + n + 1) for n in range(140)])
    below: Floats = x**shape * np.exp(-x) * terms.sum(axis=0)
    return below


LAWS = {
    "poisson": lambda x: 1 - np.exp(-x),
    "uniform": lambda x: np.clip(x / 2, 0, 1),
    "gamma:0.5": lambda x: gamma_below(4, x),
    "gamma:2": lambda x: gamma_below(0.25, x),
}


@pytest.mark.parametrize("process", LAWS)
def test_gaps_follow_their_law_and_do_not_depend_on_each_other(process: str) -> None:
    gaps = np.diff(at_rate(1, process, count=100_001))
    count, ordered = len(gaps), np.sort(gaps)
    law = LAWS[process](ordered)
    steps = np.arange(count + 1) / count
    distance = max(np.abs(law - steps[1:]).max(), np.abs(law - steps[:-1]).max())
    assert distance < 1.63 / math.sqrt(count), "Kolmogorov and Smirnov, at 1 %"
    other = LAWS["gamma:2" if process != "gamma:2" else "poisson"](ordered)
    assert np.abs(other - steps[1:]).max() > 0.05, "and they would notice another law"
    ranks = np.argsort(np.argsort(gaps)) - (count - 1) / 2
    near = [float(ranks[:-lag] @ ranks[lag:]) / float(ranks @ ranks) for lag in range(1, 6)]
    assert max(map(abs, near)) < 3.3 / math.sqrt(count)


def test_poisson_is_more_than_exponential_gaps() -> None:
    """No gap comes twice however many workers there are, and the end of a run is as random as its gaps."""
    plan = replace(PLAN, rate=Stages.steady(2000), number=50, workers=10)
    assert len(set(np.diff(intended_moments(plan)).tolist())) == 49
    ends_ms = [at_rate(200, seed=seed, count=20)[-1] * 1000 for seed in range(2000)]
    assert np.percentile(ends_ms, [5, 50, 95]) == pytest.approx([66, 98, 139], rel=0.05)


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize(("rate", "seconds"), [(10, 1), (2, 1), (0.5, 2)])
def test_there_are_on_average_as_many_requests_as_rate_times_duration(
    process: str, rate: float, seconds: float
) -> None:
    counts = [
        sum(1 for _ in takewhile(lambda at: at < seconds * 1e9, arrival_moments(process, Stages.steady(rate), seed)))
        for seed in range(1000)
    ]
    assert np.mean(counts) == pytest.approx(rate * seconds, abs=4 * max(np.std(counts), 0.01) / math.sqrt(1000))


@pytest.mark.parametrize("process", PROCESSES)
def test_a_seed_gives_one_process_at_any_rate(process: str) -> None:
    slow, fast = at_rate(2, process), at_rate(500, process)
    assert np.all(np.diff(fast) >= 0)
    assert np.abs(fast * 250 - slow).max() < 1e-6  # whole nanoseconds, 250 times
    assert np.array_equal(at_rate(2, process), slow)
    assert process == "constant" or not np.array_equal(at_rate(2, process, seed=4), slow)


@pytest.mark.parametrize("process", PROCESSES)
def test_stages_are_the_same_process_with_its_time_stretched(process: str) -> None:
    stages = Stages.parse("--rate", ["2:30s", "0:5s", "10..50:20s", "50..0:1m", "8"])
    level = np.interp
    at = np.array(list(islice(arrival_moments(process, stages, 3), 3000))) / 1e9
    grid = np.linspace(0, 400, 4_000_001)
    levels = level(grid, [0, 30, 30, 35, 35, 55, 115, 115, 400], [2, 2, 0, 0, 10, 50, 0, 8, 8])
    added_up = np.concatenate(([0], np.cumsum((levels[1:] + levels[:-1]) / 2) * 1e-4))
    assert np.interp(at, grid, added_up) == pytest.approx(at_rate(1, process, count=3000), abs=0.01)
    assert not np.any((at > 30) & (at < 35)), "a pause"


def test_stages_end_and_say_what_they_are() -> None:
    stages = Stages.parse("--rate", ["2:500ms", "10..20:1m"])
    assert (str(stages), stages.seconds, stages.peak) == ("2:0.5s 10..20:60s", 60.5, 20)
    at = list(arrival_moments("constant", stages, 0))
    assert len(at) == 1 + 900
    assert at[:2] == [0, 500 * MS]
    assert at[-1] < 60.5e9
    assert list(arrival_moments("constant", Stages.parse("--rate", ["2:3s"]), 0)) == [i * 500 * MS for i in range(6)]


def test_all_at_once() -> None:
    for process in PROCESSES:
        assert list(islice(arrival_moments(process, Stages.steady(math.inf), 1), 3)) == [0, 0, 0]


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ({"rate": 40, "arrival_process": "constant", "duration_s": 0.25}, 10),
        ({"rate": 40, "arrival_process": "constant", "duration_s": 0.26}, 11),
        ({"rate": 40, "arrival_process": "constant"}, 500),
        ({"rate": 40_000, "duration_s": 100.0}, 500),
        ({"rate": math.inf, "duration_s": 0.25}, 500),
        ({"duration_s": 0.25}, 500),
    ],
)
def test_an_open_loop_plans_what_its_arrivals_put_into_its_time(given: dict[str, Any], number: int) -> None:
    if "rate" in given:
        given = given | {"rate": Stages.steady(given["rate"])}
    assert replace(PLAN, number=500, **given).within_duration().number == number


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, new_loop])
def test_no_request_is_sent_before_its_moment(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    plan = replace(PLAN, rate=Stages.steady(700), number=200)
    early = list[int]()

    async def perform(prepared: Prepared, _connection: Any, due: int, intended: int | None) -> tuple[None, Raw]:
        early.append((intended or 0) - now_ns())
        return None, Raw(prepared.index)

    async def run() -> None:
        pool: Any = NoPool()
        (share,) = deal(plan)
        await Pacing(plan, share, pool, perform).run(now_ns() + 10 * MS)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())
    assert len(early) == 200
    assert max(early) <= 0


def test_what_is_due_is_sent_in_the_callback_of_the_timer_before_anything_that_came_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent, in_callback = list[int](), list[int]()

    def watched(loop: asyncio.AbstractEventLoop, ring: Callable[[], object]) -> Any:
        def rung() -> None:
            before = len(sent)
            ring()
            in_callback.extend(sent[before:])

        return make_alarm(loop, rung)

    def perform(prepared: Prepared, _connection: Any, due: int, intended: int | None) -> Any:
        sent.append(prepared.index)
        return answered(prepared)

    async def run() -> None:
        pool: Any = NoPool()
        plan = replace(PLAN, rate=Stages.steady(200), arrival_process="constant", number=20)
        (share,) = deal(plan)
        await Pacing(plan, share, pool, perform).run(now_ns() + 100 * MS)

    monkeypatch.setattr(open_loop, "make_alarm", watched)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())
    assert in_callback == sent == list(range(20))


def beginning(moments: Sequence[int], places: int | None, began: list[tuple[int, int]], answer_s: float) -> OpenLoop:
    """A loop that begins nothing but pauses."""

    def begin(due: int, intended: int) -> Any:
        began.append((due, intended))
        return asyncio.sleep(answer_s)

    return OpenLoop(iter(moments), places, begin, lambda: False)


def test_a_wait_for_a_place_is_not_held_against_the_schedule() -> None:
    began = list[tuple[int, int]]()
    start = now_ns()
    moments = [start, start, start + 300 * MS]

    async def run() -> None:
        await beginning(moments, 1, began, 0.05).run()

    asyncio.run(run())
    (first, second, third), intended = zip(*began, strict=True)
    assert intended == tuple(moments)
    assert first == start
    assert second - start >= 50 * MS  # due when the place was free
    assert third == moments[2] or second > moments[2]


def test_what_fails_to_begin_ends_the_loop_with_its_error() -> None:
    def begin(due: int, intended: int) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(OpenLoop(iter([now_ns() + 20 * MS]), None, begin, lambda: False).run())
    assert raised.group_contains(ZeroDivisionError)


def test_packets_are_read_between_the_sends_of_a_schedule_that_is_far_behind() -> None:
    turns = list[int]()
    began = list[tuple[int, int]]()

    def begin(due: int, intended: int) -> Any:
        until = now_ns() + 2 * MS  # longer than is sent in a row
        while now_ns() < until:
            pass
        began.append((due, intended))
        return asyncio.sleep(0)

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def turn() -> None:
            turns.append(len(began))
            loop.call_soon(turn)

        loop.call_soon(turn)
        await OpenLoop(iter([now_ns()] * 10), None, begin, lambda: False).run()

    asyncio.run(run())
    assert set(range(1, 10)) <= set(turns)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, new_loop])
def test_many_tasks_sleep_on_one_alarm_each_until_its_own_moment(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    woken = list[tuple[int, int]]()

    async def sleep(sleeper: Sleeper, at: int) -> None:
        await sleeper.until(at)
        woken.append((at, now_ns()))

    async def run() -> None:
        start = now_ns() + 20 * MS
        moments = [start + each * MS for each in (30, 5, 5, 20, 0, -40)]
        with closing(Sleeper(asyncio.get_running_loop())) as sleeper:
            left = asyncio.create_task(sleep(sleeper, start))
            asyncio.get_running_loop().call_soon(left.cancel)
            await asyncio.gather(*(sleep(sleeper, at) for at in moments), left, return_exceptions=True)
        assert sorted(at for at, _ in woken) == sorted(moments)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())
    assert [at for at, _ in woken] == sorted(at for at, _ in woken)
    assert all(now >= at for at, now in woken)


async def answered(prepared: Prepared) -> tuple[None, Raw]:
    return None, Raw(prepared.index)


def of_moments(*at_ms: float) -> LoadPlan:
    return replace(PLAN, moments=array("q", [round(at * MS) for at in at_ms]), number=len(at_ms))


@pytest.mark.parametrize(
    ("plan", "opened"),
    [
        (of_moments(*[0] * 12, *[3000] * 20), [20]),
        (replace(of_moments(*[0] * 12, *[3000] * 20), workers=2), [10, 10]),
        (of_moments(*range(0, 900, 3)), [8]),  # 0, 3, 6 and 9 ms are one burst, fewer than are opened anyway
        (of_moments(*range(2000)), [10]),
        (of_moments(*[5] * 2000), [512]),
        (replace(of_moments(*[5] * 2000), max_concurrency=30), [30]),
        (of_moments(0, 0), [2]),
        (replace(PLAN, rate=Stages.steady(200), number=900), [8]),
        (replace(PLAN, rate=Stages.steady(math.inf), number=300), [300]),
    ],
)
def test_connections_are_open_before_a_burst_that_is_known(plan: LoadPlan, opened: list[int]) -> None:
    asked = list[int]()

    class Opening(NoPool):
        async def fill(self, count: int) -> tuple[int, None]:
            asked.append(count)
            return count, None

    for share in deal(plan):
        each = worker._Worker(plan, share)
        each.pool = cast("Any", Opening())
        asyncio.run(each.warm_up())
    assert asked == opened


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("most", [None, 3])
def test_any_number_of_workers_keeps_one_schedule(process: str, most: int | None) -> None:
    rate = Stages.parse("--rate", ["500:20ms", "500..3000:50ms", "2000"])
    plan = replace(PLAN, rate=rate, arrival_process=process, number=90, max_concurrency=most)
    one, *others = (intended_moments(replace(plan, workers=workers)) for workers in (1, 2, 5))
    assert others == [one, one]
    assert one == list(islice(plan.arrivals(), 90))


def test_slots_come_and_go() -> None:
    plan = replace(PLAN, parallel=4, levels=Stages.parse("--parallel", ["1:1s", "4:1s", "2..4:2s", "1:1s"]))
    opens = [[plan.slot_opens_ns(slot, at) for at in (0, 1500 * MS, 2100 * MS, 4500 * MS)] for slot in range(4)]
    s = 1000 * MS
    assert opens[0] == [0, 1500 * MS, 2100 * MS, 4500 * MS]
    assert opens[1] == [s, 1500 * MS, 2100 * MS, None]
    assert opens[2] == [s, 1500 * MS, 2500 * MS, None]  # 2.5 are three
    assert opens[3] == [s, 1500 * MS, 3500 * MS, None]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_closed_loop_follows_its_stages(perf: Run, truth: TruthServer, workers: str) -> None:
    arguments = [*chat(truth, "ttft_ms=20;itl_ms=1;tokens=3"), "--parallel", "1:600ms", "6:600ms", "2:600ms"]
    run = perf(*arguments, "--workers", workers)
    assert run.code == 0, run.err
    assert run.report["ended_by"] == "duration"
    assert run.report["run"]["arguments"]["parallel"] == "1:600ms 6:600ms 2:600ms"
    records = list(read_records(run.run_file))
    begin = min(record.sent_ns for record in records)
    for since, until, level in ((0.0, 0.55, 1), (0.8, 1.15, 6), (1.4, 1.7, 2)):  # what had begun before may go on
        at = [begin + round(s * 1e9) for s in np.linspace(since, until, 200)]
        under_way = [sum(record.sent_ns <= moment < record.ended_ns for record in records) for moment in at]
        assert max(under_way) == level


def test_an_open_loop_follows_its_stages(perf: Run, truth: TruthServer) -> None:
    arguments = [*chat(truth, "ttft_ms=5;itl_ms=1;tokens=3"), "--rate", "20:1s", "0:500ms", "100:500ms"]
    run = perf(*arguments, "--arrivals", "constant", "--workers", "2")
    assert run.report["requests"]["planned"] == 70
    assert run.report["requests"]["errors"].keys() <= {"not_sent"}, run.err
    at = sorted(record.intended_ns or 0 for record in read_records(run.run_file))
    gaps = [after - before for before, after in pairwise(at)]
    expected = [50 * MS] * 19 + [550 * MS] + [10 * MS] * 49
    assert len(gaps) >= 60  # a client that is late at the end sends less
    assert gaps == expected[: len(gaps)]


def intended_moments(plan: LoadPlan) -> list[int]:
    """Return when the workers of a plan intend to send each request, in the order of the requests."""
    at = dict[int, int]()

    async def perform(prepared: Prepared, _connection: Any, due: int, intended: int | None) -> tuple[None, int]:
        assert intended is not None
        at[prepared.index] = intended
        return None, due

    async def run() -> None:
        pool: Any = NoPool()
        await asyncio.gather(*(Pacing(plan, share, pool, perform).run(0) for share in deal(plan)))

    asyncio.run(run())
    return [at[index] for index in range(plan.number)]


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("most", [None, 3])
def test_requests_are_sent_at_the_moments_that_a_plan_gives(workers: int, most: int | None) -> None:
    moments = array("q", [0, 0, 3 * MS, 10 * MS, 10 * MS + 1, 40 * MS, 41 * MS])
    plan = replace(PLAN, moments=moments, number=len(moments), workers=workers, max_concurrency=most)
    assert plan.mode == "open"
    assert intended_moments(plan) == list(moments)


def test_moments_after_the_duration_are_not_planned() -> None:
    plan = replace(PLAN, moments=[0, 5 * MS, 500 * MS], number=3, duration_s=0.5).within_duration()
    assert plan.number == 2
    assert [plan.due_by(at * MS) for at in (0, 4, 5, 600)] == [1, 1, 2, 2]
    with pytest.raises(ConfigError, match=r"none in 0\.5 s.; give more seconds"):
        replace(PLAN, moments=[600 * MS], duration_s=0.5).within_duration()


@pytest.mark.parametrize(
    ("moments", "rate", "said"),
    [
        ([5, 4], None, "expected moments that ascend, got 'moment 2 before the one before it'"),
        ([-1, 4], None, "expected moments from 0 on, got '-1 ns'"),
        ([4], None, "expected a moment for each request, got '1 for 2 requests'"),
        ([4, 5], 2.0, "expected either moments or a rate, got 'moments and 2 a second'"),
    ],
)
def test_moments_that_are_none_are_refused(moments: Sequence[int], rate: float | None, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        replace(PLAN, moments=moments, number=2, rate=None if rate is None else Stages.steady(rate))
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(("due_in", "ticks"), [(-1 * MS, 6), (60_000 * MS, 1), (None, 1)])
def test_batches_are_handed_over_when_nothing_is_due_soon_or_after_five_ticks(
    due_in: int | None, ticks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def next_ns(_: Pacing) -> int | None:
        return None if due_in is None else now_ns() + due_in

    monkeypatch.setattr(Pacing, "next_ns", property(next_ns))
    flushed = list[int]()

    async def run() -> None:
        each = worker._Worker(PLAN, Share(0, 1))
        each.loop, each.ended = asyncio.get_running_loop(), [Raw(index) for index in range(64)]
        rung = list[int]()
        monkeypatch.setattr(each, "flush", lambda: flushed.append(len(rung)))
        for number in range(1, 7):
            rung.append(number)
            each.tick()
            if each.next_tick is not None:
                each.next_tick.cancel()
            if flushed:
                break

    asyncio.run(run())
    assert flushed == [ticks]


@pytest.mark.parametrize(
    ("due_in", "takes", "prepared"),
    [
        (None, 0, 2),  # of a closed loop, some after each that is sent
        (60_000 * MS, 0, 64),
        (-1 * MS, 0, 0),  # what is due together is sent before more is prepared
        (60_000 * MS, 40_000 * MS, 0),  # one took so long lately that the next might be late for it
    ],
)
def test_requests_are_prepared_while_nothing_is_due(
    due_in: int | None, takes: int, prepared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pacing, "next_ns", property(lambda _: None if due_in is None else now_ns() + due_in))

    async def run() -> int:
        each = worker._Worker(replace(PLAN, number=200), Share(0, 1))
        each.loop, each.preparing_ns = asyncio.get_running_loop(), takes
        each.refill_soon()
        for _ in range(200):
            await asyncio.sleep(0)
        return len(each.pacing.stock._ready)

    assert asyncio.run(run()) == prepared
