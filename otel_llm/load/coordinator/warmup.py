"""Requests before a run, of which nothing is counted but how they ended."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace

from otel_llm.load.coordinator.coordinator import Coordinator
from otel_llm.load.coordinator.reckoning import FinishedCall
from otel_llm.load.plan.plan import LoadPlan

__all__ = ["warm_up"]


def warm_up(plan: LoadPlan, stopping: Callable[[], bool]) -> dict[str, int] | None:
    """Send the plan's warm-up, as many at a time as the run will have under way; return how they ended.

    It goes out in a closed loop from its beginning, on connections of its own, and its prompts are not the run's when
    those are made different.
    """
    if not plan.warmup:
        return None
    parallel = (plan.max_concurrency or 1) if plan.open_loop else plan.parallel
    coordinator = Coordinator(
        replace(
            plan, number=plan.warmup, rate=None, parallel=min(parallel, plan.warmup), ramp_s=None, duration_s=None,
            keep_events=False, warmup=0, cache_salt=plan.cache_salt and f"{plan.cache_salt}-warm-up-",
        )
    )  # fmt: skip
    ended = {"requests": plan.warmup, "succeeded": 0, "failed": 0}

    def finished(batch: Sequence[FinishedCall]) -> None:
        for call in batch:
            ended["succeeded" if call.record.ok else "failed"] += 1

    with closing(coordinator):
        coordinator.start()
        coordinator.run(finished, lambda: None, stopping)
    return ended
