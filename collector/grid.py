"""The common edges on which histograms of different buckets are put together.

Every known edge is on the grid, so that nothing is lost by putting histograms together; between them it is filled up
for exponential ones. Where a grid edge falls inside a bucket, somebody has to say how the values in it are spread.
Prometheus spreads them evenly, which is too high for latencies: their density falls. Evenly in the logarithm halves
that error. Prometheus does it when it is asked at a moved edge instead (`moved`), which needs known bucket edges; a
family that no table knows is read off evenly.
"""

import bisect
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Final

from otel_llm_collector import family
from otel_llm_collector.series import Measure
from otel_llm_collector.table import engines

from otel_llm import conventions

__all__ = ["families", "grid", "moved"]

_LARGEST_STEP: Final = 1.5
"""No two neighbours on the grid are further apart than this factor, between its bounds."""
_BOUNDS: Final = (0.001, 120.0)
"""Seconds. Known edges below and above are kept, but not filled up between."""


def grid(measure: Measure) -> tuple[float, ...]:
    """Return the upper edges of the grid of one measure, in seconds, ascending, without +Inf."""
    edges = sorted(set(itertools.chain(*families(measure).values())))
    filled = list(edges)
    for low, high in itertools.pairwise([_BOUNDS[0], *(edge for edge in edges if _inside(edge)), _BOUNDS[1]]):
        steps = 1
        while low > 0 and high > low * _LARGEST_STEP**steps * 1.001:
            steps += 1
        filled += [float(f"{low * (high / low) ** (n / steps):.3g}") for n in range(1, steps)]
    return tuple(sorted({edge for edge in filled if edge > 0}))


def families(measure: Measure) -> Mapping[str, tuple[float, ...]]:
    """Return the sets of edges that engines' tables and our own instruments have for this measure, by family."""
    tables = [
        engine.edges(metric) for engine in engines() for metric in engine.metrics if metric.to in measure.instruments
    ]
    ours = [conventions.instrument(key).boundaries or () for key in measure.instruments]
    return {family.name(edges): edges for edges in (*tables, *ours) if edges}


def moved(edge: float, edges: Sequence[float]) -> float:
    """Return where even spreading gives what spreading evenly in the logarithm gives at `edge`."""
    place = bisect.bisect_left(edges, edge)
    if place in (0, len(edges)) or edges[place] == edge or edges[place - 1] <= 0:
        return edge
    low, high = edges[place - 1], edges[place]
    return low + (high - low) * math.log(edge / low) / math.log(high / low)


def _inside(edge: float) -> bool:
    return _BOUNDS[0] <= edge <= _BOUNDS[1]
