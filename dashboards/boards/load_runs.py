"""Board 3: load runs: each one exactly, two of them compared, and whether the client was the limit."""

from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from otel_llm import conventions
from otel_llm_collector.vocabulary.measures import DURATION, ITL, TTFT, WAITED_FOR
from otel_llm_collector.vocabulary.prometheus_names import series_for
from otel_llm_dashboards.drawing import charts, variables
from otel_llm_dashboards.drawing.board import Board, Row
from otel_llm_dashboards.drawing.panel import Panel, Query, data_source
from otel_llm_dashboards.drawing.tables import Column, table
from otel_llm_dashboards.drawing.trace_links import slow_calls
from otel_llm_dashboards.drawing.variables import Variable
from otel_llm_dashboards.panels import client_health, run_comparison, spread
from otel_llm_dashboards.queries import run_totals
from otel_llm_dashboards.queries.labels import ERROR, INTERVAL, JOB, RUN, legend, percentile_name
from otel_llm_dashboards.queries.recorded import recorded_series
from otel_llm_dashboards.queries.run_totals import (
    EITHER,
    INFO,
    LIMITED,
    MODE,
    NAME,
    last_value,
    recorded_total,
    with_run_name,
)

__all__ = ["board"]

_MET: Final = f'{conventions.SLO_MET}="true"'


def board() -> Board:
    """Return the board."""
    return Board(
        "runs",
        "LLM load runs",
        "Runs of the load generator: exactly what each of them measured, how two of them compare, and whether the "
        "client itself was the limit.",
        rows=(
            Row("Runs in this time range", (all_runs(),), folded=False),
            Row("A against B", (run_comparison.percentile_table(),), folded=False),
            Row("Client health: is it the server that is measured?", client_health.all_panels(), folded=False),
            Row("While they ran", (*map(run_comparison.over_time, WAITED_FOR), pace(), goodput())),
            Row(
                "How values are spread, and the traces of the worst",
                spread.run_heatmaps(),
            ),
        ),
        variables=[
            *variables.data_sources(),
            *_run_choices(),
            *variables.slow_calls(f"label_values({INFO}{{{EITHER}}}, {JOB})", TTFT, ITL, DURATION),
            variables.quantile(),
        ],
        links=slow_calls(TTFT, TTFT),
        annotations=(marker("Run begins", "green", f'{LIMITED}=""'), marker("Run ends", "orange", f'{LIMITED}!=""')),
        span="now-6h",
    )


def _run_choices() -> list[Variable]:
    """Return the choice of two runs of this time range. A is the last by name, which is the newest; B is the first."""
    query = f"query_result(count by ({RUN}, {NAME}) (last_over_time({INFO}[$__range])))"
    name = f'/{RUN}="(?<value>[^"]+)".*{NAME}="(?<text>[^"]+)"/'
    newest = variables.query_values("run", "Run A", query, several=False, regex=name)
    newest.sort(models.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_DESC)
    return [newest, variables.query_values("baseline", "Run B", query, several=False, regex=name)]


def marker(name: str, color: str, *matchers: str) -> Builder[models.AnnotationQuery]:
    """Return marks at the moments of an export. A run's first has no verdict yet; its last one has.

    The marks come from the metrics store, so they outlive Grafana. Their value is the time itself, which puts them
    where the export happened rather than at a step of the query.
    """
    expr = f"timestamp({INFO}{{{', '.join(matchers)}}}) * 1000"
    return (
        dashboard.AnnotationQuery()
        .name(name)
        .datasource(data_source())
        .enable(True)
        .hide(False)
        .icon_color(color)
        .expr(expr)
        .use_value_for_time(True)
        .step("15s")
        .title_format(f"{name}: {{{{{NAME}}}}}")
        .text_format(f"{{{{{MODE}}}}} {{{{{RUN}}}}} client-limited: {{{{{LIMITED}}}}}")
        .tag_keys(MODE)
    )


def all_runs() -> Panel:
    """Show all runs, one row each."""
    asked, met = series_for("load_requests"), series_for("slo_requests")
    failed = last_value(asked, f'{ERROR}!=""')
    shown = [(m, q) for m in (TTFT, ITL) for q in ("0.5", "0.99")] + [(DURATION, "0.99")]
    return table(
        "Runs",
        "Every load run that exported in this time range. Percentiles are those of the whole run, of successful "
        "requests, from its cumulative histograms without a rate: exact up to the width of a bucket. A run without "
        "`--slo` has no value in the column `Within SLO`.",
        {NAME: "Run", MODE: "Loop"},
        Column("", f"max by ({RUN}, {NAME}, {MODE}) ({last_value(INFO)})"),
        Column("Requests", f"sum by ({RUN}) ({last_value(asked)})"),
        Column(
            "Failed", f"sum by ({RUN}) ({failed}) or 0 * sum by ({RUN}) ({last_value(asked)})", limits=((1, "red"),)
        ),
        *(Column(f"{m.heading} {percentile_name(q)}", recorded_total(m, q, RUN), "s") for m, q in shown),
        Column(
            "Within SLO",
            f"sum by ({RUN}) ({last_value(met, _MET)}) / sum by ({RUN}) ({last_value(met)})",
            "percentunit",
        ),
        Column("Client-limited", run_totals.verdict(), words=client_health.VERDICTS),
        hidden=(RUN,),
        sort="Run",
    )


def pace() -> Panel:
    """Show the requests that ended per second."""
    ended = f"sum by ({RUN}, {ERROR}) (rate({series_for('load_requests')}{{{EITHER}}}[{INTERVAL}]))"
    return charts.lines(
        "Requests that ended per second",
        "Requests of runs A and B that ended per second, by error.type if they failed, counted at the client.",
        "reqps",
        Query(with_run_name(ended), legend(NAME, ERROR)),
    )


def goodput() -> Panel:
    """Show the requests per second that met every term of the SLO."""
    return charts.lines(
        "Goodput",
        "Requests per second of runs A and B that met every term of the SLO given with `--slo`, over 5 minutes, "
        "counted when they ended. It cannot be derived from percentiles.",
        "reqps",
        Query(with_run_name(f"{recorded_series('goodput:rate5m')}{{{EITHER}}}"), legend(NAME)),
    )
