"""Panels that show whether a load run measured the server or itself."""

from collections.abc import Sequence
from typing import Final

from otel_llm_collector.vocabulary.prometheus_names import series_for
from otel_llm_dashboards.drawing import charts
from otel_llm_dashboards.drawing.panel import Panel, Query
from otel_llm_dashboards.queries import run_totals
from otel_llm_dashboards.queries.labels import ERROR, RUN, legend
from otel_llm_dashboards.queries.raw import KINDS
from otel_llm_dashboards.queries.run_totals import EITHER, NAME, last_value, unrecorded_total, with_run_name

__all__ = ["VERDICTS", "all_panels"]

VERDICTS: Final = {"0": ("no", "green"), "1": ("client-limited", "red")}


def all_panels() -> Sequence[Panel]:
    """Return the panels of a row, in order."""
    return (verdict(), lag(), delay(), failed())


def verdict() -> Panel:
    """Show whether the client was the limit."""
    return charts.number(
        "Was the client the limit?",
        "The verdict of each run on itself, exported when it ends: `client-limited` means that the load generator "
        "was later than allowed, so that part of what it measured is its own delay. A run that is still going, or "
        "was killed, has no verdict.",
        "none",
        Query(with_run_name(run_totals.verdict(EITHER)), legend(NAME), once=True),
        words=VERDICTS,
        width=6,
    )


def lag() -> Panel:
    """Show how late the load generator's loop ran."""
    return charts.number(
        "Loop lag, p99",
        "How late the receiving loop of the load generator ran, 99th percentile of the whole run. On Linux, packets "
        "carry the kernel's timestamp, so that a lag of milliseconds does not affect the numbers; a large one means "
        "that the process is short of CPU time.",
        "s",
        *(
            Query(with_run_name(unrecorded_total("loop_lag", "0.99", k, EITHER)), legend(NAME), once=True)
            for k in KINDS
        ),
        limits=((0.01, "orange"), (0.1, "red")),
        width=6,
    )


def delay() -> Panel:
    """Show how late requests were sent."""
    return charts.number(
        "Queue delay, p99",
        "How long planned requests waited in the load generator before they were sent, 99th percentile of the whole "
        "run. Only for runs at a fixed rate: a closed loop plans no send times.",
        "s",
        *(
            Query(with_run_name(unrecorded_total("queue_delay", "0.99", k, EITHER)), legend(NAME), once=True)
            for k in KINDS
        ),
        limits=((0.01, "orange"), (0.1, "red")),
        width=6,
    )


def failed() -> Panel:
    """Show the share of requests that failed."""
    ended = series_for("load_requests")
    every = f"sum by ({RUN}) ({last_value(ended, EITHER)})"
    errors = last_value(ended, EITHER, f'{ERROR}!=""')
    return charts.number(
        "Failed requests",
        "Exact share of the requests of runs A and B that failed, as counted by the load generator.",
        "percentunit",
        Query(with_run_name(f"(sum by ({RUN}) ({errors}) or 0 * {every}) / ({every} > 0)"), legend(NAME), once=True),
        limits=((0.001, "orange"), (0.01, "red")),
        width=6,
    )
