"""When an open loop intends to send its requests: nanoseconds from the start of the run, ascending.

Nothing here reads a clock or sleeps. The same seed gives the same sequence, so N workers that each take every N-th
request keep the schedule that a single worker would have kept.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import count, repeat
from typing import Final, NamedTuple

import numpy as np

__all__ = ["ARRIVALS", "DEFAULT_PROCESS", "ArrivalProcess", "constant", "immediate", "poisson"]

_BLOCK = 1024


def immediate() -> Iterator[int]:
    """Yield 0 without end: every request at the start."""
    return repeat(0)


def constant(rate: float, _seed: int = 0) -> Iterator[int]:
    """Yield moments exactly 1/rate seconds apart, the first at 0."""
    return (round(k * 1e9 / rate) for k in count())


def poisson(rate: float, seed: int) -> Iterator[int]:
    """Yield the moments of a Poisson process of `rate` per second, on average `rate` of them in each second.

    The gaps, also that before the first, are independent and exponential with mean 1/rate, as when many independent
    users send requests.
    """
    rng = np.random.default_rng(seed)
    at = 0.0
    while True:
        for gap in rng.exponential(1e9 / rate, _BLOCK).tolist():
            at += gap
            yield round(at)


class ArrivalProcess(NamedTuple):
    """A value of `--arrivals`: `moments` takes requests per second and a seed, `about` is what --help says of it."""

    moments: Callable[[float, int], Iterator[int]]
    about: str


ARRIVALS: Final[Mapping[str, ArrivalProcess]] = {
    "poisson": ArrivalProcess(poisson, "as from independent users"),
    "constant": ArrivalProcess(constant, "evenly"),
}
DEFAULT_PROCESS: Final = "poisson"
