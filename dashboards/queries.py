"""PromQL of the panels.

Variables stand in quoted matchers or where PromQL takes a number, and nowhere else: every query parses once they are
filled in. An exponential histogram and an explicit one are two queries, never a variable in a name.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from otel_llm import conventions
from otel_llm_collector.rules_percentiles import FAMILY, SUCCEEDED, rates
from otel_llm_collector.series import MEASURES, Measure, label, series
from otel_llm_dashboards.recorded import recorded

__all__ = [
    "BOTH",
    "ENGINE",
    "ENVIRONMENT",
    "ERROR",
    "INTERVAL",
    "JOB",
    "MODEL",
    "PROVIDER",
    "QUANTILE",
    "RUN",
    "VANTAGE",
    "legend",
    "measure",
    "percentile",
    "raw_histogram",
    "raw_percentile",
    "raw_series",
    "where",
]

JOB: Final = "job"
MODEL: Final = label(conventions.REQUEST_MODEL)
PROVIDER: Final = label(conventions.PROVIDER_NAME)
ENGINE: Final = label(conventions.ENGINE)
VANTAGE: Final = label(conventions.VANTAGE)
ENVIRONMENT: Final = label(conventions.DEPLOYMENT)
ERROR: Final = label(conventions.ERROR_TYPE)
RUN: Final = label(conventions.RUN_ID)

QUANTILE: Final = "$quantile"
INTERVAL: Final = "$__rate_interval"
BOTH: Final = ("exponential", "explicit")
"""The two kinds of histogram, and the two query sets of every panel that reads one as it was sent."""

_CHOSEN: Final = {JOB: "$job", MODEL: "$model", ENGINE: "$engine", VANTAGE: "$vantage", ENVIRONMENT: "$environment"}


def measure(name: str) -> Measure:
    """Return the measure of that name."""
    return next(found for found in MEASURES if found.name == name)


def where(*more: str, by: Iterable[str] = tuple(_CHOSEN)) -> str:
    """Return matchers for what is chosen at the top of the board, and more of them, in braces."""
    return "{" + ", ".join((*(f'{name}=~"{_CHOSEN[name]}"' for name in by), *more)) + "}"


def legend(*labels: str) -> str:
    """Return a legend that names the values of these labels."""
    return " · ".join(f"{{{{{name}}}}}" for name in labels)


def percentile(q: str, of: Measure, by: Sequence[str], *more: str) -> str:
    """Return a percentile across engines and kinds of histogram, by any labels of the recorded one on a common grid.

    Only on that grid may buckets of different engines be added up.
    """
    together = f"{recorded(f'{of.name}:union_rate5m')}{where(*more)}"
    return f"histogram_quantile({q}, sum by ({', '.join(('le', *by))}) ({together}))"


def raw_percentile(q: str, of: Measure, kind: str, by: Sequence[str], chosen: str = "") -> str:
    """Return a percentile of a histogram as it was sent, for labels that are not recorded."""
    labels = (*by, FAMILY, "le") if kind == "explicit" else tuple(by)
    return f"histogram_quantile({q}, {raw_histogram(of, kind, labels, chosen)})"


def raw_histogram(of: Measure, kind: str, by: Sequence[str], chosen: str = "") -> str:
    """Return the histogram of what is chosen, summed by some labels, of the first source that each service has.

    Exemplars are found by the names in a query, and recorded series have none: hence this and not a recorded one.
    """
    matchers = (chosen or where(SUCCEEDED)).strip("{}")
    kept = dict.fromkeys((JOB, MODEL, VANTAGE, *by))
    suffix = "_bucket" if kind == "explicit" else ""
    each = rates(of, suffix, ", ".join(kept), INTERVAL, matchers)
    grouped = f" by ({', '.join(by)}) " if by else ""
    return f"sum{grouped}(\n{each}\n)"


def raw_series(key: str) -> str:
    """Return the series of an instrument of `conventions`, under the name of the published generation."""
    return series(conventions.instrument(key))
