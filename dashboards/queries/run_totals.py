"""Queries of load runs. Those of whole runs are exact: their histograms count from the start and need no rate."""

from typing import Final

from otel_llm import conventions
from otel_llm_collector.rule_sources.dimensions import FAMILY, SUCCEEDED
from otel_llm_collector.vocabulary.measures import Measure
from otel_llm_collector.vocabulary.prometheus_names import label_name, series_for
from otel_llm_dashboards.queries.labels import RUN
from otel_llm_dashboards.queries.raw import raw_percentile
from otel_llm_dashboards.queries.recorded import recorded_series

__all__ = [
    "EITHER",
    "INFO",
    "LIMITED",
    "MODE",
    "NAME",
    "A",
    "B",
    "last_value",
    "percentile_over_time",
    "recorded_total",
    "unrecorded_total",
    "verdict",
    "with_run_name",
]  # fmt: skip

NAME: Final = label_name(conventions.RUN_NAME)
MODE: Final = label_name(conventions.RUN_MODE)
LIMITED: Final = label_name(conventions.CLIENT_LIMITED)
INFO: Final = series_for("run_info")
A: Final = "$run"
B: Final = "$baseline"
EITHER: Final = f'{RUN}=~"{A}|{B}"'


def last_value(name: str, *matchers: str) -> str:
    """Return the last value in the time range, so that a run that ended long ago is shown too."""
    chosen = f"{{{', '.join(matchers)}}}" if matchers else ""
    return f"last_over_time({name}{chosen}[$__range])"


def recorded_total(of: Measure, q: str, by: str, *matchers: str) -> str:
    """Return a recorded percentile of whole runs; for a run with several models, the largest."""
    shown = last_value(recorded_series(f"run_{of.name}:quantile"), f'quantile=~"{q}"', *matchers)
    return f"max by ({by}) ({shown})"


def unrecorded_total(key: str, q: str, kind: str, *matchers: str) -> str:
    """Return a percentile of whole runs for an instrument that no rule records."""
    if kind == "explicit":
        buckets = last_value(f"{series_for(key)}_bucket", *matchers)
        return f"histogram_quantile({q}, sum by ({RUN}, {FAMILY}, le) ({buckets}))"
    return f"histogram_quantile({q}, sum by ({RUN}) ({last_value(series_for(key), *matchers)}))"


def percentile_over_time(of: Measure, q: str, kind: str, *matchers: str) -> str:
    """Return a percentile while the runs ran, by run."""
    return raw_percentile(q, of, kind, (RUN,), ", ".join((*matchers, SUCCEEDED)))


def verdict(*matchers: str) -> str:
    """Return 1 for each run that its client limited, 0 for each other run that ended."""
    limited, ended = (last_value(INFO, f"{LIMITED}{value}", *matchers) for value in ('="true"', '!=""'))
    return f"max by ({RUN}) ({limited}) or 0 * max by ({RUN}) ({ended})"


def with_run_name(expr: str) -> str:
    """Return an expression that gives values by run, with the name of each run added."""
    return f"({expr}) * on ({RUN}) group_left ({NAME}) max by ({RUN}, {NAME}) ({last_value(INFO)})"
