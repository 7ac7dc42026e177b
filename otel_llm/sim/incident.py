"""Incidents of a server, to rehearse with: what each of them changes once it has begun."""

from dataclasses import replace
from typing import Final

from otel_llm.sim.behaviour import Behaviour

__all__ = ["limits_in_incident", "while_incident"]

_FEWER_SLOTS, _SMALLER_CACHE, _SLOWER, _FAILING, _TAKEN_BACK = 4, 8, 8, 0.3, 0.2
_CACHE_TOKENS: Final = 256
_LEAST_FIRST_TOKEN_MS, _LEAST_GAP_MS = 500.0, 50.0


def while_incident(behaviour: Behaviour) -> Behaviour:
    """Return how requests are answered while the incident of a behaviour lasts.

    prefill: first tokens take eight times as long, 0.5 s at least; slow-replica: so do gaps, 50 ms at least
    errors:  three of ten answers break off after their first token
    kv:      two of ten answers are taken back once, and stand still for as long as their first token took
    """
    match behaviour.incident:
        case "prefill":
            return replace(behaviour, ttft_ms=max(behaviour.ttft_ms * _SLOWER, _LEAST_FIRST_TOKEN_MS))
        case "slow-replica":
            return replace(behaviour, itl_ms=max(behaviour.itl_ms * _SLOWER, _LEAST_GAP_MS))
        case "errors":
            return replace(behaviour, fault="error", fault_at=1, fault_rate=_FAILING)
        case "kv":
            stalls = replace(behaviour, fault="stall", fault_at=1, fault_rate=_TAKEN_BACK)
            return replace(stalls, stall_ms=behaviour.ttft_ms)
    return behaviour


def limits_in_incident(behaviour: Behaviour) -> tuple[int, int]:
    """Return the slots, and the tokens that the key-value cache holds, while the incident of a behaviour lasts.

    queue: a quarter of the slots, or one where there was no limit
    kv:    an eighth of the cache, or 256 tokens where there was no limit
    """
    slots, cache = behaviour.slots, behaviour.kv_cache
    if behaviour.incident == "queue":
        slots = max(slots // _FEWER_SLOTS, 1)
    if behaviour.incident == "kv":
        cache = max(cache // _SMALLER_CACHE, 1) if cache else _CACHE_TOKENS
    return slots, cache
