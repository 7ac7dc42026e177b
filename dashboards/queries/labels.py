"""The labels that queries name, and what is chosen at the top of a board.

Variables stand only in quoted matchers or where PromQL takes a number, so that every query parses once they are
filled in.
"""

from collections.abc import Iterable
from typing import Final

from otel_llm import conventions
from otel_llm_collector.vocabulary.prometheus_names import label_name

__all__ = [
    "CLUSTER",
    "ENGINE",
    "ENVIRONMENT",
    "ERROR",
    "HAS_ENGINE",
    "INSTANCE",
    "INTERVAL",
    "JOB",
    "MODEL",
    "NAMESPACE",
    "POD",
    "PROVIDER",
    "QUANTILE",
    "RUN",
    "TRAFFIC",
    "VANTAGE",
    "legend",
    "percentile_name",
    "selection",
]

JOB: Final = "job"
INSTANCE: Final = "instance"
MODEL: Final = label_name(conventions.REQUEST_MODEL)
PROVIDER: Final = label_name(conventions.PROVIDER_NAME)
ENGINE: Final = label_name(conventions.ENGINE)
VANTAGE: Final = label_name(conventions.VANTAGE)
ENVIRONMENT: Final = label_name(conventions.DEPLOYMENT)
CLUSTER: Final = label_name(conventions.CLUSTER)
NAMESPACE: Final = label_name(conventions.NAMESPACE)
POD: Final = label_name(conventions.POD)
ERROR: Final = label_name(conventions.ERROR_TYPE)
RUN: Final = label_name(conventions.RUN_ID)
TRAFFIC: Final = label_name(conventions.TRAFFIC)

HAS_ENGINE: Final = f'{ENGINE}!=""'
"""What only series of engines match."""

QUANTILE: Final = "$quantile"
INTERVAL: Final = "$__rate_interval"

_VARIABLES: Final = {
    JOB: '=~"$job"',
    MODEL: '=~"$model"',
    ENGINE: '=~"$engine"',
    VANTAGE: '=~"$vantage"',
    ENVIRONMENT: '=~"$environment"',
    CLUSTER: '=~"$cluster"',
    NAMESPACE: '=~"$namespace"',
    TRAFFIC: '!~"$left_out"',  # load runs, unless they are asked for
}


def selection(*more: str, by: Iterable[str] = tuple(_VARIABLES)) -> str:
    """Return matchers, in braces, for what is chosen at the top of the board, and `more` matchers."""
    return "{" + ", ".join((*(f"{name}{_VARIABLES[name]}" for name in by), *more)) + "}"


def percentile_name(q: str) -> str:
    """Return, for example, `p99` for the quantile `0.99`."""
    return f"p{float(q) * 100:g}"


def legend(*labels: str) -> str:
    """Return a legend that shows the values of these labels."""
    return " · ".join(f"{{{{{name}}}}}" for name in labels)
