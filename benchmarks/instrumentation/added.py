"""What is added per chunk and per call, by the rounds that a probe measured (`probe.cost`): medians of differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.instrumentation.probe.cost import BLOCK, LARGE, SMALL

Round = dict[str, Any]


@dataclass(frozen=True)
class Added:
    """CPU time. bare_us: of the bare client, per chunk; chunk_us, call_us: added; least, most: of single rounds."""

    bare_us: float
    chunk_us: float
    call_us: float
    least_us: float
    most_us: float


@dataclass(frozen=True)
class Call:
    """CPU time of a call of SMALL chunks in one round, from its start to its end: the bare client's, and added."""

    bare_us: float
    added_us: float

    @property
    def times_bare(self) -> float:
        """Return how many times the bare client's an instrumented call takes."""
        return (self.bare_us + self.added_us) / self.bare_us


def call_of(round_: Round, way: str) -> Call:
    """Return what a whole call took in one round: of each part the median, as often as a call has it."""
    times = round_[f"{way} small"]
    parts = {"start": 1, "first": 1, "block": SMALL // BLOCK - 1, "end": 1}
    bare = sum(often * median(took for took, _ in times[part]) for part, often in parts.items())
    more = sum(often * _added([round_], f"{way} small", part) for part, often in parts.items())
    return Call(bare / 1e3, more / 1e3)


def added(rounds: Sequence[Round], way: str) -> Added:
    """Return what was added in one way of streaming, such as `client sync`, and its spread over the rounds."""
    single = [_per_chunk([each], way) for each in rounds]
    call = sum(_added(rounds, f"{way} small", part) for part in ("start", "first", "end"))
    call -= BLOCK * _per_chunk(rounds, way) + (SMALL - BLOCK) * _end(rounds, way)
    bare = median(took for each in rounds for took, _ in each[f"{way} large"]["block"]) / BLOCK
    figures = (bare, _per_chunk(rounds, way), call, min(single), max(single))
    return Added(*(figure / 1e3 for figure in figures))


def _added(rounds: Sequence[Round], which: str, part: str) -> float:
    """Return the median of what was added to a part of a stream, in ns."""
    return float(median(measured - bare for each in rounds for bare, measured in each[which][part]))


def _end(rounds: Sequence[Round], way: str) -> float:
    """Return what is added per chunk when its stream ends, in ns: some do their work there."""
    return (_added(rounds, f"{way} large", "end") - _added(rounds, f"{way} small", "end")) / (LARGE - SMALL)


def _per_chunk(rounds: Sequence[Round], way: str) -> float:
    return _added(rounds, f"{way} large", "block") / BLOCK + _end(rounds, way)
