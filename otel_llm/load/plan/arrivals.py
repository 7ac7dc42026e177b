"""When requests are meant to leave: pure sequences of nanoseconds from the start of a run.

No clock and no sleeping here. The same seed gives the same sequence, so that several workers, each taking every N-th
request, keep together the schedule that one would have kept.
"""

from collections.abc import Iterator
from itertools import repeat

import numpy as np

__all__ = ["constant", "immediate", "poisson"]

_BLOCK = 1024


def immediate() -> Iterator[int]:
    """Return 0 for ever: everything at the start."""
    return repeat(0)


def constant(rate: float) -> Iterator[int]:
    """Return moments exactly 1/rate seconds apart, the first at 0."""
    k = 0
    while True:
        yield round(k * 1e9 / rate)
        k += 1


def poisson(rate: float, seed: int) -> Iterator[int]:
    """Return the moments of a Poisson process of `rate` per second, the first at 0.

    Gaps are independent and exponential with mean 1/rate: arrivals of many users who do not know of each other.
    """
    rng = np.random.default_rng(seed)
    at = 0.0
    while True:
        for gap in rng.exponential(1e9 / rate, _BLOCK).tolist():
            yield round(at)
            at += gap
