"""Whether an engine's /metrics page still has the names, types and edges that its table lists."""

import functools
import math
import re
from collections.abc import Iterator
from typing import Final

from otel_llm_collector.engine_tables.table import EngineTable, Metric
from otel_llm_collector.vocabulary import bucket_family

__all__ = ["find_mismatches"]

_TYPE: Final = re.compile(r"^# TYPE (\S+) (\S+)$", re.MULTILINE)


def find_mismatches(table: EngineTable, text: str) -> list[str]:
    """Return one line for each listed metric that a page lacks, or has with another type or other edges.

    Optional metrics may be absent.
    """
    types = dict(_TYPE.findall(text))
    return [f"{table.title}: {line}" for metric in table.metrics for line in _check(table, metric, types, text)]


def _check(table: EngineTable, metric: Metric, types: dict[str, str], text: str) -> Iterator[str]:
    # the name in `# TYPE` has no _total in some client libraries; the samples always do
    found = types.get(metric.name) or types.get(metric.name.removesuffix("_total"))
    if found is None:
        if not metric.optional:
            yield f"expected {metric.name} ({metric.type}), got nothing of that name"
    elif found != metric.type:
        yield f"expected {metric.name} ({metric.type}), got {found}"
    elif metric.buckets:
        yield from _check_edges(metric.name, tuple(table.buckets[metric.buckets].values()), text)


def _check_edges(name: str, listed: tuple[tuple[float, ...], ...], text: str) -> Iterator[str]:
    """Yield a line when the edges are those of no version that the table lists."""
    les = re.findall(rf'^{re.escape(name)}_bucket{{.*?le="([^"]+)".*}}', text, re.MULTILINE)
    edges = tuple(sorted({float(le) for le in les if le != "+Inf"}))
    if edges and not any(_alike(edges, wanted) for wanted in listed):
        yield f"expected {name} with edges {bucket_family.name(listed[0])}, got {bucket_family.name(edges)}: {edges}"


def _alike(edges: tuple[float, ...], wanted: tuple[float, ...]) -> bool:
    """Some engines compute their edges: the last digits are not theirs to promise."""
    return len(edges) == len(wanted) and all(map(functools.partial(math.isclose, rel_tol=1e-6), edges, wanted))
