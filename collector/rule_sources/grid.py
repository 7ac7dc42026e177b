"""The common grid of edges on which histograms with different buckets are put together.

Ten edges a decade, the same for every engine: no two neighbours are further apart than a factor of 1.27.
Where a grid edge falls inside a bucket, the values in that bucket have to be spread somehow. Prometheus spreads them
evenly, which gives latencies that are too high, since their density falls. Spreading them evenly in the logarithm
halves that error. It takes known bucket edges; a family that is in no engine table is read with even spreading.
"""

import bisect
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from otel_llm import conventions
from otel_llm_collector.engine_tables.table import engine_tables
from otel_llm_collector.vocabulary import bucket_family

__all__ = ["all_edges", "grid_edges", "known_families", "parts_below"]

_DECADE: Final = (1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.3, 8)
"""The preferred numbers R10."""


def grid_edges(low: float, high: float) -> tuple[float, ...]:
    """Return the upper edges of the grid between two bounds, all in seconds, ascending, without +Inf."""
    edges = (float(f"{step}e{power}") for power in range(-4, 4) for step in _DECADE)
    return tuple(edge for edge in edges if low <= edge <= high)


def known_families(instruments: Collection[str]) -> Mapping[str, tuple[float, ...]]:
    """Return the bucket edges of these instruments by family: of all listed versions of engines, and ours."""
    found = [
        edges
        for table in engine_tables()
        for metric in table.metrics
        if metric.to in instruments
        for edges in table.edges_by_version(metric).values()
    ]
    found += [conventions.instrument(key).boundaries or () for key in instruments]
    return {bucket_family.name(edges): edges for edges in found if edges}


def all_edges() -> tuple[str, ...]:
    """Return every bucket edge of seconds that is known, ascending, as `le` has it: engines', ours, and the grid's."""
    seconds = {key for key, made in conventions.INSTRUMENTS.items() if made.kind == "histogram" and made.unit == "s"}
    found = {edge for edges in known_families(seconds).values() for edge in edges}
    found.update(grid_edges(0, math.inf), conventions.SERVER_TTFT, conventions.SERVER_TPOT)
    return tuple(bucket_family.number(edge) for edge in sorted(found) if edge > 0)


def parts_below(edge: float, edges: Sequence[float]) -> Mapping[float, float]:
    """Return how much of which cumulative buckets add up to the values below `edge`: weights by bucket edge.

    Inside a bucket that begins above 0, values are spread evenly in the logarithm, otherwise evenly. Above the last
    edge nothing is known: what is below that edge is all that is returned.
    """
    place = bisect.bisect_left(edges, edge)
    if place == len(edges):
        return {edges[-1]: 1}
    high, low = edges[place], edges[place - 1] if place else 0
    share = math.log(edge / low) / math.log(high / low) if low > 0 else (edge - low) / (high - low)
    weights = {high: round(share, 6)}
    if place:
        weights[low] = round(1 - share, 6)
    return {at: weight for at, weight in weights.items() if weight}
