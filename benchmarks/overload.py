"""How often the verdict on overload is right, on queues whose load is known: `python -m benchmarks.overload`.

Each row is one kind of server, asked at a share of what it can do. A run is so many requests. Printed is in how many of
200 runs the server was said not to keep up: none should be below a load of 1, and all above it.
"""

import heapq
from collections.abc import Callable
from typing import Final

import numpy as np

from otel_llm.load.figures.overload import judge_overload
from otel_llm.measures import Floats

_RUNS: Final = 200
_LOADS: Final = (0.5, 0.9, 0.95, 1.0, 1.05, 1.1, 1.5)
_NUMBERS: Final = (400, 1000, 4000)

Draw = Callable[[np.random.Generator, int], Floats]


def ends_of(asked: Floats, service: Floats, servers: int) -> Floats:
    """Return when each request ends, first come, first served by so many servers."""
    free, ended = [0.0] * servers, np.empty(len(asked))
    for i, (at, takes) in enumerate(zip(asked.tolist(), service.tolist(), strict=True)):
        ended[i] = max(at, free[0]) + takes
        heapq.heapreplace(free, ended[i])
    return ended


def _exponential(rng: np.random.Generator, count: int) -> Floats:
    return rng.exponential(1.0, count)


def _constant(_: np.random.Generator, count: int) -> Floats:
    return np.ones(count)


def _lognormal(rng: np.random.Generator, count: int) -> Floats:
    return rng.lognormal(-0.5, 1.0, count)


QUEUES: Final[dict[str, tuple[int, Draw, Draw]]] = {
    "M/M/1": (1, _exponential, _exponential),
    "M/M/8": (8, _exponential, _exponential),
    "D/D/8": (8, _constant, _constant),
    "M/lognormal/32": (32, _exponential, _lognormal),
}
"""How many servers, the gaps between requests and the service times, both with a mean of 1."""


def share_overloaded(queue: str, load: float, number: int, runs: int = _RUNS) -> tuple[float, float]:
    """Return the share of runs in which the verdict was overload, and of those in which there was none."""
    servers, gaps, service = QUEUES[queue]
    said = undecided = 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        asked = np.cumsum(gaps(rng, number)) / (load * servers)
        ended = ends_of(asked, service(rng, number), servers)
        verdict = judge_overload(asked, asked, ended)
        said += verdict is not None and verdict.overloaded
        undecided += verdict is None
    return said / runs, undecided / runs


def main() -> None:
    print("| server | requests | " + " | ".join(f"load {load:g}" for load in _LOADS) + " |")
    print("|" + "---|" * (2 + len(_LOADS)))
    for queue in QUEUES:
        for number in _NUMBERS:
            cells = []
            for load in _LOADS:
                said, undecided = share_overloaded(queue, load, number)
                cells.append(f"{said:.1%}" + (f" ({undecided:.0%} too short)" if undecided else ""))
            print(f"| {queue} | {number:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
