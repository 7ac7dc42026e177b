"""What the GPUs did during a run: utilisation, memory, power, and energy for each output token."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from otel_llm.load.server.scrape import Scrape

__all__ = ["gpu_report"]

Moments = list[tuple[float, float]]
"""(second, value), in order."""


def gpu_report(scrapes: Sequence[Scrape], output_tokens: int) -> dict[str, Any] | None:
    """Return means and peaks over all GPUs that were seen; None where none was.

    Energy is what their counters grew by, or else their power over time, by the trapezoid rule. It is all that they
    took between the first look and the last, whoever they worked for.
    """
    names = dict.fromkeys(gpu.id for scrape in scrapes for gpu in scrape.gpus)
    if not names:
        return None
    power = [_moments(scrapes, name, "power") for name in names]
    energy = [_energy(_moments(scrapes, name, "energy"), watts) for name, watts in zip(names, power, strict=True)]
    joules = sum(each for each in energy if each is not None) if any(each is not None for each in energy) else None
    return {
        "count": len(names),
        "utilization": _over([_moments(scrapes, name, "utilization") for name in names], np.mean),
        "memory": _over([_moments(scrapes, name, "memory") for name in names], np.sum),
        "power": _over(power, np.sum),
        "energy": joules,
        "energy_per_output_token": joules / output_tokens if joules is not None and output_tokens else None,
    }


def _moments(scrapes: Sequence[Scrape], name: str, what: str) -> Moments:
    found = [(scrape.at_ns / 1e9, getattr(gpu, what)) for scrape in scrapes for gpu in scrape.gpus if gpu.id == name]
    return [(at, value) for at, value in found if value is not None]


def _energy(counted: Moments, watts: Moments) -> float | None:
    if len(counted) > 1 and (grown := counted[-1][1] - counted[0][1]) >= 0:
        return grown
    if len(watts) < 2:
        return None
    return sum((now - then) * (power + before) / 2 for (then, before), (now, power) in pairwise(watts))


def _over(gpus: Sequence[Moments], together: Any) -> dict[str, float] | None:
    """Return the mean over time, and the peak, of what the GPUs come to together."""
    told = [[value for _, value in moments] for moments in gpus if moments]
    if not told:
        return None
    looks = min(map(len, told))
    each = together([values[:looks] for values in told], axis=0)
    return {"mean": float(np.mean(each)), "max": float(np.max(each))}
