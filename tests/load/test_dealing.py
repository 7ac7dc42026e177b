"""Who sends what: any number of workers, slots, requests and limits makes the run that one worker would make."""

import asyncio
from collections import Counter
from dataclasses import replace
from math import inf
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.plan.stages import Stages
from otel_llm.load.worker.pacing import Pacing
from otel_llm.load.worker.prepared import Prepared
from otel_llm.load.worker.raw import Raw
from otel_llm.load.worker.stock import deal
from tests.load.test_exchange import PLAN

loops = st.one_of(
    st.builds(lambda parallel: {"parallel": parallel}, st.integers(1, 12)),
    st.builds(lambda most: {"rate": Stages.steady(inf), "max_concurrency": most}, st.none() | st.integers(1, 12)),
)
plans = st.builds(
    lambda workers, number, loop: replace(PLAN, workers=workers, number=number, ramp_s=0, **loop),
    st.integers(1, 16), st.integers(1, 60), loops,
)  # fmt: skip


def places(plan: LoadPlan) -> int | None:
    return plan.max_concurrency if plan.open_loop else plan.parallel


@settings(max_examples=500)
@given(plans)
@example(replace(PLAN, workers=4, parallel=2, number=40))
@example(replace(PLAN, workers=7, parallel=10, number=1000))
def test_each_request_has_one_sender_and_each_slot_its_part(plan: LoadPlan) -> None:
    shares, limit = deal(plan), places(plan)
    dealt = [list(share.indices(plan.number)) for share in shares]
    assert sorted(index for own in dealt for index in own) == list(range(plan.number))
    assert all(own == sorted(own) and own for own in dealt)
    for share, own in zip(shares, dealt, strict=True):
        assert [index for index in range(plan.number) if share.owns(index)] == own
        assert share.of(plan.number) == len(own)
    if limit is not None:
        assert sum(share.own_slots for share in shares) == limit
        rounds = [-(-len(own) // share.own_slots) for share, own in zip(shares, dealt, strict=True)]
        assert max(rounds) == -(-plan.number // limit), "no slot has more to do than with one worker"


class NoPool:
    """As much of a pool as pacing asks of one that has no connections."""

    endpoints = 1

    def take(self, where: int) -> None: ...
    def keep_spare(self, where: int) -> None: ...
    def pause_ns(self, where: int) -> int:
        return 0


@settings(max_examples=60)
@given(plans)
@example(replace(PLAN, workers=4, parallel=2, number=8, ramp_s=0.001))
def test_every_request_is_sent_and_never_more_than_so_many_are_under_way(plan: LoadPlan) -> None:
    sent: Counter[int] = Counter()
    under_way, most = 0, 0

    async def perform(prepared: Prepared, _connection: Any, due: int, _intended: int | None) -> tuple[None, Raw]:
        nonlocal under_way, most
        sent[prepared.index] += 1
        under_way += 1
        most = max(most, under_way)
        for _ in range(3):
            await asyncio.sleep(0)
        under_way -= 1
        return None, Raw(prepared.index, ended_ns=due)

    async def run() -> None:
        pool: Any = NoPool()
        await asyncio.gather(*(Pacing(plan, share, pool, perform).run(0) for share in deal(plan)))

    asyncio.run(run())
    assert sent == Counter(range(plan.number))
    assert most <= (places(plan) or plan.number)
