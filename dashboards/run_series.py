"""Queries of load runs: exact, since a run's histograms count from its beginning and are read without a rate."""

from typing import Final

from otel_llm import conventions
from otel_llm_collector.rules_percentiles import FAMILY, SUCCEEDED
from otel_llm_collector.series import Measure, label
from otel_llm_dashboards import queries
from otel_llm_dashboards.queries import RUN, raw_series
from otel_llm_dashboards.recorded import recorded

__all__ = [
    "EITHER",
    "INFO",
    "LIMITED",
    "MODE",
    "NAME",
    "A",
    "B",
    "exactly",
    "last",
    "named",
    "of_run",
    "overall",
    "verdict",
]  # fmt: skip

NAME: Final = label(conventions.RUN_NAME)
MODE: Final = label(conventions.RUN_MODE)
LIMITED: Final = label(conventions.CLIENT_LIMITED)
INFO: Final = raw_series("run_info")
A: Final = "$run"
B: Final = "$baseline"
EITHER: Final = f'{RUN}=~"{A}|{B}"'


def last(name: str, *matchers: str) -> str:
    """Return the last value in the time range, of a run that may have ended long ago."""
    chosen = f"{{{', '.join(matchers)}}}" if matchers else ""
    return f"last_over_time({name}{chosen}[$__range])"


def exactly(of: Measure, q: str, by: str, *matchers: str) -> str:
    """Return a percentile of whole runs; of a run with several models the largest."""
    shown = last(recorded(f"run_{of.name}:quantile"), f'quantile=~"{q}"', *matchers)
    return f"max by ({by}) ({shown})"


def overall(key: str, q: str, kind: str, *matchers: str) -> str:
    """Return a percentile of whole runs, of an instrument that no rule records."""
    if kind == "explicit":
        buckets = last(f"{raw_series(key)}_bucket", *matchers)
        return f"histogram_quantile({q}, sum by ({RUN}, {FAMILY}, le) ({buckets}))"
    return f"histogram_quantile({q}, sum by ({RUN}) ({last(raw_series(key), *matchers)}))"


def of_run(of: Measure, q: str, kind: str, *matchers: str) -> str:
    """Return a percentile over time, by run."""
    return queries.raw_percentile(q, of, kind, (RUN,), ", ".join((*matchers, SUCCEEDED)))


def verdict(*matchers: str) -> str:
    """Return 1 for each run whose client was itself the limit, 0 for each other one that ended."""
    limited, ended = (last(INFO, f"{LIMITED}{value}", *matchers) for value in ('="true"', '!=""'))
    return f"max by ({RUN}) ({limited}) or 0 * max by ({RUN}) ({ended})"


def named(expr: str) -> str:
    """Return what an expression gives by run, with the run's name."""
    return f"({expr}) * on ({RUN}) group_left ({NAME}) max by ({RUN}, {NAME}) ({last(INFO)})"
