"""When an open loop sends: its moments, whoever sends them."""

import asyncio
from array import array
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from otel_llm.errors import ConfigError
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.worker.pacing import Pacing
from otel_llm.load.worker.stock import Prepared, deal
from tests.load.test_dealing import NoPool
from tests.load.test_exchange import PLAN

MS = 1_000_000


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
        ([4, 5], 2.0, "expected either moments or a rate"),
    ],
)
def test_moments_that_are_none_are_refused(moments: Sequence[int], rate: float | None, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        replace(PLAN, moments=moments, number=2, rate=rate)
    assert str(refused.value).startswith(said)
