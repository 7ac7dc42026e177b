"""Requests before a run: only how they ended is counted."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace

from otel_llm.load.coordinator.coordinator import Coordinator
from otel_llm.load.coordinator.reckoning import FinishedCall
from otel_llm.load.plan.plan import LoadPlan

__all__ = ["warm_up"]


def warm_up(plan: LoadPlan, stopping: Callable[[], bool]) -> dict[str, int] | None:
    """Send the plan's warm-up, as many requests at a time as the run will have in flight; return how they ended.

    It is a closed loop without a ramp, on its own connections. With `--cache-bust` its prompts differ from the run's.
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
