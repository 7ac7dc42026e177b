"""Panels that say whether a load run measured the server or itself."""

from collections.abc import Sequence
from typing import Final

from otel_llm_dashboards import panels, run_series
from otel_llm_dashboards.panels import Panel, Query
from otel_llm_dashboards.queries import BOTH, ERROR, RUN, legend, raw_series
from otel_llm_dashboards.run_series import EITHER, NAME, last, named

__all__ = ["VERDICTS", "all_of_them"]

VERDICTS: Final = {"0": ("no", "green"), "1": ("client-limited", "red")}


def all_of_them() -> Sequence[Panel]:
    """Return the row."""
    return (verdict(), lag(), delay(), failed())


def verdict() -> Panel:
    """Whether the client was the limit."""
    return panels.number(
        "Was the client the limit?",
        "The verdict of runs A and B on themselves, exported at their end: `client-limited` means that the load "
        "generator was late by more than it may, and that its numbers are partly its own. A run that still goes on, or "
        "was killed, has none.",
        "none",
        Query(named(run_series.verdict(EITHER)), legend(NAME), exact=True),
        words=VERDICTS,
        width=6,
    )


def lag() -> Panel:
    """How late the loop ran."""
    return panels.number(
        "Loop lag, p99",
        "How late the receiving loop of the load generator ran, 99th percentile of the whole run. Packets carry the "
        "kernel's stamp on Linux, so that a lag of milliseconds does not reach the numbers; a large one says that the "
        "process starves.",
        "s",
        *(Query(named(run_series.overall("loop_lag", "0.99", k, EITHER)), legend(NAME), exact=True) for k in BOTH),
        limits=((0.01, "orange"), (0.1, "red")),
        width=6,
    )


def delay() -> Panel:
    """How late requests were sent."""
    return panels.number(
        "Queue delay, p99",
        "How long planned requests waited in the load generator before they were sent, 99th percentile of the whole "
        "run. Runs at a fixed rate only: a closed loop plans none.",
        "s",
        *(Query(named(run_series.overall("queue_delay", "0.99", k, EITHER)), legend(NAME), exact=True) for k in BOTH),
        limits=((0.01, "orange"), (0.1, "red")),
        width=6,
    )


def failed() -> Panel:
    """Share of requests that failed."""
    ended = raw_series("load_requests")
    every = f"sum by ({RUN}) ({last(ended, EITHER)})"
    errors = last(ended, EITHER, f'{ERROR}!=""')
    return panels.number(
        "Failed requests",
        "Share of the requests of runs A and B that failed, exactly, counted by the load generator.",
        "percentunit",
        Query(named(f"(sum by ({RUN}) ({errors}) or 0 * {every}) / ({every} > 0)"), legend(NAME), exact=True),
        limits=((0.001, "orange"), (0.01, "red")),
        width=6,
    )
