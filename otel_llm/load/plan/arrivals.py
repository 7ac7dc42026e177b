"""When an open loop intends to send its requests: nanoseconds from the start of the run, ascending.

Nothing here reads a clock or sleeps. A process is made at one request per second; the rate is the speed at which its
time goes by. So the same seed gives the same process at any rate and through any stages, and N workers that each take
every N-th request keep the schedule that a single worker would have kept.

But for `constant`, whose first request is at 0, a process begins as if it had been watched from a moment that has
nothing to do with it. So there are, on average, exactly as many requests in any second as the rate says.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from otel_llm.errors import ConfigError
from otel_llm.load.plan.stages import Floats, Stages

__all__ = ["ARRIVALS", "DEFAULT_PROCESS", "ArrivalProcess", "arrival_moments", "check_moments", "check_process"]

_BLOCK: Final = 1024


class ArrivalProcess(NamedTuple):
    """A value of `--arrivals`, at one request per second.

    gaps:  draws n gaps between requests, float64[n], independent of each other, with a mean of 1 s; the last argument
           is their coefficient of variation, where the process has a choice of it
    first: draws the moment of the first request, s
    about: what --help says of it
    cv:    the coefficient of variation of the gaps; None where it is to be given
    """

    gaps: Callable[[np.random.Generator, int, float], Floats]
    first: Callable[[np.random.Generator, float], float]
    about: str
    cv: float | None


def _first_of_gamma(rng: np.random.Generator, cv: float) -> float:
    """A moment falls into a gap in proportion to its length, and anywhere in it."""
    return float(rng.gamma(cv**-2 + 1, cv**2) * rng.random())


ARRIVALS: Final[Mapping[str, ArrivalProcess]] = {
    "poisson": ArrivalProcess(
        lambda rng, n, _: rng.exponential(1.0, n), lambda rng, _: rng.exponential(1.0), "as from independent users", 1.0
    ),
    "constant": ArrivalProcess(lambda _, n, __: np.ones(n), lambda *_: 0.0, "evenly", 0.0),
    "uniform": ArrivalProcess(
        lambda rng, n, _: rng.uniform(0.0, 2.0, n),
        lambda rng, _: 2 * math.sqrt(rng.random()) * rng.random(),
        "gaps anywhere from 0 to twice the mean",
        3**-0.5,
    ),
    "gamma": ArrivalProcess(
        lambda rng, n, cv: rng.gamma(cv**-2, cv**2, n),
        _first_of_gamma,
        "gaps with this coefficient of variation: above 1 in bursts",
        None,
    ),
}
DEFAULT_PROCESS: Final = "poisson"
_NAMES: Final = ", ".join(f"{name}:CV" if process.cv is None else name for name, process in ARRIVALS.items())
_CV: Final = (0.01, 100.0)


def check_process(text: str) -> None:
    """Raise ConfigError unless it is a name of `ARRIVALS`, with the coefficient of variation where that is open."""
    _process(text)


def check_moments(moments: Sequence[int], number: int) -> None:
    """Raise ConfigError unless there is a moment for each of so many requests, from 0 on, and they ascend."""
    if number > len(moments):
        raise ConfigError("a moment for each request", f"{len(moments):,} for {number:,} requests")
    if number and moments[0] < 0:
        raise ConfigError("moments from 0 on", f"{moments[0]:,} ns")
    for which, (before, after) in enumerate(pairwise(moments), 2):
        if after < before:
            raise ConfigError("moments that ascend", f"moment {which:,} before the one before it")


def arrival_moments(process: str, rate: Stages, seed: int) -> Iterator[int]:
    """Yield the moments of a process, such as `poisson` or `gamma:2.5`, until the stages of its rate are over."""
    kind, cv = _process(process)
    rng = np.random.default_rng(seed)
    at = kind.first(rng, cv)
    while True:
        unit = at + np.concatenate(([0.0], np.cumsum(kind.gaps(rng, _BLOCK, cv))))
        at = float(unit[-1])
        for moment in rate.when(unit[:-1]).tolist():
            if moment >= rate.seconds:
                return
            yield round(moment * 1e9)


def _process(text: str) -> tuple[ArrivalProcess, float]:
    name, _, parameter = text.partition(":")
    kind = ARRIVALS.get(name)
    if kind is None or (kind.cv is not None and parameter):
        raise ConfigError(f"--arrivals to be one of {_NAMES}", text)
    if kind.cv is not None:
        return kind, kind.cv
    low, high = _CV
    try:
        cv = float(parameter)
    except ValueError:
        cv = math.nan
    if not low <= cv <= high:
        raise ConfigError(f"--arrivals {name}:CV with a CV from {low:g} to {high:g}", text, f"write {name}:2")
    return kind, cv
