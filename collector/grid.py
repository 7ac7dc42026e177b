"""The common edges on which histograms of different buckets are put together.

Ten edges a decade, the same for every engine: no two neighbours are further apart than a factor of 1.27.
Where a grid edge falls inside a bucket, somebody has to say how the values in it are spread.
Prometheus spreads them evenly, which is too high for latencies: their density falls. Evenly in the logarithm halves
that error. Prometheus does it when it is asked at a moved edge instead (`moved`), which needs known bucket edges; a
family that no table knows is read off evenly.
"""

import bisect
import math
from collections.abc import Mapping, Sequence
from typing import Final

from otel_llm import conventions
from otel_llm_collector import family
from otel_llm_collector.series import Measure
from otel_llm_collector.table import engines

__all__ = ["families", "grid", "moved"]

_DECADE: Final = (1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.3, 8)
"""The preferred numbers R10."""


def grid(measure: Measure) -> tuple[float, ...]:
    """Return the upper edges of the grid of one measure, in seconds, ascending, without +Inf."""
    low, high = measure.bounds
    edges = (float(f"{step}e{power}") for power in range(-4, 4) for step in _DECADE)
    return tuple(edge for edge in edges if low <= edge <= high)


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
