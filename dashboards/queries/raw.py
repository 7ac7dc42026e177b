"""Queries of histograms as they were sent, for labels and exemplars that recorded series do not have.

An exponential histogram and an explicit one are two queries, never a variable in a name.
"""

from collections.abc import Sequence
from typing import Final

from otel_llm_collector.rule_sources.dimensions import FAMILY, SUCCEEDED
from otel_llm_collector.rule_sources.percentiles import first_source_rates
from otel_llm_collector.vocabulary.measures import Measure
from otel_llm_dashboards.queries.labels import INTERVAL, JOB, MODEL, VANTAGE, selection

__all__ = ["KINDS", "raw_histogram", "raw_percentile"]

KINDS: Final = ("exponential", "explicit")
"""The two kinds of histogram. Every panel that reads histograms as they were sent has a query for each."""


def raw_percentile(q: str, of: Measure, kind: str, by: Sequence[str], chosen: str = "") -> str:
    """Return a percentile of the histograms as they were sent, by any labels."""
    labels = (*by, FAMILY, "le") if kind == "explicit" else tuple(by)
    return f"histogram_quantile({q}, {raw_histogram(of, kind, labels, chosen)})"


def raw_histogram(of: Measure, kind: str, by: Sequence[str], chosen: str = "") -> str:
    """Return the histogram of what is chosen, summed by some labels, from the first source that each service has.

    Grafana finds exemplars by the names in a query, and recorded series have none.
    """
    matchers = (chosen or selection(SUCCEEDED)).strip("{}")
    kept = dict.fromkeys((JOB, MODEL, VANTAGE, *by))
    suffix = "_bucket" if kind == "explicit" else ""
    each = first_source_rates(of, suffix, ", ".join(kept), INTERVAL, matchers)
    grouped = f" by ({', '.join(by)}) " if by else ""
    return f"sum{grouped}(\n{each}\n)"
