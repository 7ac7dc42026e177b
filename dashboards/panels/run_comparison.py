"""Panels that compare run A with run B."""

from typing import Final

from otel_llm_collector.rule_sources.dimensions import QUANTILES
from otel_llm_collector.vocabulary.measures import WAITED_FOR, Measure
from otel_llm_dashboards.drawing import charts
from otel_llm_dashboards.drawing.panel import Panel, Query
from otel_llm_dashboards.drawing.tables import Column, table
from otel_llm_dashboards.drawing.trace_links import slow_calls
from otel_llm_dashboards.queries.labels import QUANTILE, RUN, legend, percentile_name
from otel_llm_dashboards.queries.raw import KINDS
from otel_llm_dashboards.queries.run_totals import (
    EITHER,
    NAME,
    A,
    B,
    percentile_over_time,
    recorded_total,
    with_run_name,
)

__all__ = ["over_time", "percentile_table"]

_MEASURE: Final = "measure"


def percentile_table() -> Panel:
    """Show every percentile of A and B, and how far apart they are."""
    a, b = _percentiles(A), _percentiles(B)
    both = f"on ({_MEASURE}, quantile)"
    return table(
        "Percentiles of run A and run B",
        "Percentiles over the whole of each run, of successful requests, from its cumulative histograms: exact up to "
        "the width of a bucket, which is 4 to 9 % in an exponential histogram. Above 0, A is slower.",
        {_MEASURE: "Measure", "quantile": "Percentile"},
        Column("A", a, "s"),
        Column("B", b, "s"),
        Column("A − B", f"({a})\n- {both}\n({b})", "s"),
        Column("A against B", f"({a})\n/ {both}\n({b}) - 1", "percentunit", limits=((0.05, "orange"), (0.2, "red"))),
        words={"Percentile": {q: (percentile_name(q), "text") for q in QUANTILES}},
        height=14,
    )


def _percentiles(run: str) -> str:
    """Return all recorded percentiles of a run, by measure and quantile."""
    found = (recorded_total(m, "|".join(QUANTILES), "quantile", f'{RUN}="{run}"') for m in WAITED_FOR)
    return "\nor\n".join(
        f'label_replace({expr}, "{_MEASURE}", "{m.title}", "", "")' for m, expr in zip(WAITED_FOR, found, strict=True)
    )


def over_time(of: Measure) -> Panel:
    """Show the chosen percentile while the runs ran."""
    return charts.lines(
        f"{of.heading} while the runs ran",
        f"The chosen percentile of the {of.title} of runs A and B, at each point over the last moments before it, "
        "from the histograms as they were sent, measured by the load generator.",
        "s",
        *(
            Query(with_run_name(percentile_over_time(of, QUANTILE, kind, EITHER)), f"{legend(NAME)} · {kind}")
            for kind in KINDS
        ),
        links=slow_calls(of),
    )
