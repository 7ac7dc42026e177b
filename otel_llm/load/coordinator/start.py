"""The moment at which a run begins: as soon as its workers are ready, or at one that was agreed on with others."""

from collections.abc import Callable
from threading import Event
from typing import Final

from otel_llm.clock import SYSTEM, now_ns
from otel_llm.load.plan.plan import LoadPlan

__all__ = ["start_of", "wait_for_start"]

_AHEAD_NS: Final = 5_000_000_000
"""How long before an agreed moment workers are started: they open their connections, which no server keeps for long."""
_NAP_S: Final = 0.1


def wait_for_start(plan: LoadPlan, stopping: Callable[[], bool], say: Callable[[str], object]) -> None:
    """Return a few seconds before the agreed moment, if there is one, or when the run is to end."""
    if (at := _agreed(plan)) is None:
        return
    if (left := at - now_ns()) > _AHEAD_NS:
        say(f"begins in {left / 1e9:,.0f} s")
    nap = Event()
    while at - now_ns() > _AHEAD_NS and not stopping():
        nap.wait(_NAP_S)


def start_of(plan: LoadPlan, lead_ns: int) -> tuple[int, str | None]:
    """Return when a run begins whose workers are ready, on our clock, and what to say where that moment is over.

    lead_ns: how long it takes to tell them
    """
    soonest = now_ns() + lead_ns
    if (at := _agreed(plan)) is None:
        return soonest, None
    late = soonest - at
    return at, f"the workers were ready {late / 1e9:,.1f} s after the moment of --start-at" if late > 0 else None


def _agreed(plan: LoadPlan) -> int | None:
    """Return the agreed moment on our clock; None where there is none."""
    if plan.start_at_ns is None:
        return None
    now = now_ns()
    return plan.start_at_ns - SYSTEM.wall_ns(now) + now
