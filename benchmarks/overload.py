"""How often the verdict on overload is right, on queues whose load is known: `python -m benchmarks.overload`.

Each row is one kind of server, asked at a share of what it can do: queues, and an engine that batches. A run is so many
requests. Printed is in how many of 200 runs the server was said not to keep up: none should be below a load of 1, and
all above it.
"""

import heapq
import itertools
import math
from collections.abc import Callable
from typing import Final

import numpy as np

from benchmarks.find import ENGINE
from otel_llm.load.figures.overload import judge_overload
from otel_llm.measures import Floats

_RUNS: Final = 200
_LOADS: Final = (0.5, 0.9, 0.95, 1.0, 1.05, 1.1, 1.5)
_NUMBERS: Final = (400, 1000, 4000)

Draw = Callable[[np.random.Generator, int], Floats]
Server = Callable[[float, int, np.random.Generator], tuple[Floats, Floats]]
"""When so many requests are sent, and when each ends, at a load: the share of what the server can do."""


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


def _queue(servers: int, gaps: Draw, service: Draw) -> Server:
    """Return a queue of so many servers. gaps, service: both have a mean of 1."""

    def answered(load: float, number: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        asked = np.cumsum(gaps(rng, number)) / (load * servers)
        return asked, ends_of(asked, service(rng, number), servers)

    return answered


def _batches(load: float, number: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Answer as an engine that batches; what it can do is what it does with all of its places taken."""
    step_s = ENGINE.step_s + ENGINE.request_s * ENGINE.places
    most = 1 / (step_s * float(np.mean(ENGINE.tokens)) / ENGINE.places + ENGINE.prefill_s)
    parts = itertools.islice(ENGINE.requests(load * most, rng), math.ceil(number / 500))
    asked, _, ended = (np.concatenate(each)[:number] for each in zip(*parts, strict=True))
    return asked, ended


SERVERS: Final[dict[str, Server]] = {
    "M/M/1": _queue(1, _exponential, _exponential),
    "M/M/8": _queue(8, _exponential, _exponential),
    "D/D/8": _queue(8, _constant, _constant),
    "M/lognormal/32": _queue(32, _exponential, _lognormal),
    f"batches of {ENGINE.places}": _batches,
}


def share_overloaded(server: str, load: float, number: int, runs: int = _RUNS) -> tuple[float, float]:
    """Return the share of runs in which the verdict was overload, and of those in which there was none."""
    said = undecided = 0
    for seed in range(runs):
        asked, ended = SERVERS[server](load, number, np.random.default_rng(seed))
        verdict = judge_overload(asked, asked, ended)
        said += verdict is not None and verdict.overloaded
        undecided += verdict is None
    return said / runs, undecided / runs


def main() -> None:
    print("| server | requests | " + " | ".join(f"load {load:g}" for load in _LOADS) + " |")
    print("|" + "---|" * (2 + len(_LOADS)))
    for server in SERVERS:
        for number in _NUMBERS:
            cells = []
            for load in _LOADS:
                said, undecided = share_overloaded(server, load, number)
                cells.append(f"{said:.1%}" + (f" ({undecided:.0%} too short)" if undecided else ""))
            print(f"| {server} | {number:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
