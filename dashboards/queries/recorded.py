"""Queries of series that the Collector's rules record."""

import functools
from collections.abc import Sequence

from otel_llm.errors import ConfigError
from otel_llm_collector.rule_sources.catalog import recorded_names
from otel_llm_collector.rule_sources.percentiles import Side, bucket_edge
from otel_llm_collector.vocabulary.measures import Measure
from otel_llm_dashboards.queries.labels import selection

__all__ = ["below", "clipped", "edge_around", "percentile", "recorded_series"]


def recorded_series(name: str) -> str:
    """Return the full name of, for example, `kv_cache:max`; ConfigError when no rule records it."""
    full = f"otel_llm:{name}"
    if full not in _recorded_names():
        raise ConfigError("a series that collector/rules records", full, "see docs/percentiles.md")
    return full


def percentile(q: str, of: Measure, by: Sequence[str], *more: str) -> str:
    """Return a percentile across engines and kinds of histogram, by any labels of the histogram on the common grid.

    Only on that grid may buckets of different engines be added up.
    """
    together = f"{recorded_series(f'{of.name}:union_rate5m')}{selection(*more)}"
    return f"histogram_quantile({q}, sum by ({', '.join(('le', *by))}) ({together}))"


def edge_around(side: Side, of: Measure, q: str) -> str:
    """Return an edge of the bucket that a percentile falls in, for each source: the true value is between them."""
    name = recorded_series(f"{of.name}:bucket_rate5m")
    return bucket_edge(side, q, f"{name}{selection()}", name + selection('le="+Inf"'))


def clipped(of: Measure, q: str) -> str:
    """Return 1 for each source whose percentile is above its last bucket edge, and 0 for the others."""
    return f"{recorded_series(f'{of.name}:above_last_edge5m')}{selection()} >= bool 1 - {q}"


def below(of: Measure, q: str) -> str:
    """Return 1 for each source whose percentile is below its first bucket edge, and 0 for the others."""
    return f"{recorded_series(f'{of.name}:below_first_edge5m')}{selection()} > bool {q}"


@functools.cache
def _recorded_names() -> frozenset[str]:
    return recorded_names()
