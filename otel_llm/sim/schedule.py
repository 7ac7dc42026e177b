"""When each token is due, and which requests have a fault: pure functions of the seed and the request's id."""

from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from typing import Final

from otel_llm.sim.behaviour import Behaviour

__all__ = ["draw_fault", "to_ns", "token_times"]


def to_ns(milliseconds: float) -> int:
    """Return milliseconds as whole nanoseconds."""
    return round(milliseconds * 1e6)


def token_times(behaviour: Behaviour, request_id: str) -> Iterator[int]:
    """Yield when each token of an answer is due, in ns after its start, without end.

    Without jitter, token i is due at exactly ttft + i * itl. With jitter, each gap is drawn and added to the time of
    the token before, so the times never decrease.
    """
    ttft, itl = behaviour.ttft_ms * 1e6, behaviour.itl_ms * 1e6
    if behaviour.jitter == "none":
        return count(round(ttft), round(itl))
    return _drawn(behaviour, request_id, ttft, itl)


def _drawn(behaviour: Behaviour, request_id: str, ttft: float, itl: float) -> Iterator[int]:
    # Seeded by a text: the same in every process and version of Python. Nothing here guards a secret.
    random = Random(f"{behaviour.seed}/{request_id}/times")  # noqa: S311
    factor, amp = _FACTORS[behaviour.jitter], behaviour.amp
    at = ttft * factor(random, amp)
    while True:
        yield round(at)
        at += itl * factor(random, amp)


_FACTORS: Final[dict[str, Callable[[Random, float], float]]] = {
    "uniform": lambda random, amp: max(0.0, random.uniform(1 - amp, 1 + amp)),
    "exp": lambda random, _: random.expovariate(1.0),
    "lognormal": lambda random, amp: random.lognormvariate(-amp * amp / 2, amp),
}


def draw_fault(behaviour: Behaviour, request_id: str) -> str:
    """Return the fault of this request, or "" for none. A share of `fault_rate` of all ids has it."""
    if not behaviour.fault or behaviour.fault_rate >= 1:
        return behaviour.fault
    draw = Random(f"{behaviour.seed}/{request_id}/fault").random()  # noqa: S311
    return behaviour.fault if draw < behaviour.fault_rate else ""
