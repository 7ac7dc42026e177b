"""What can be chosen at the top of a board. Every choice keeps its name from board to board, so that links carry it."""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from otel_llm_collector.rules_percentiles import QUANTILES
from otel_llm_collector.series import Measure
from otel_llm_dashboards.panels import store
from otel_llm_dashboards.queries import ENGINE, ENVIRONMENT, JOB, MODEL, VANTAGE
from otel_llm_dashboards.recorded import recorded

__all__ = ["Variable", "chosen", "family", "quantile", "sources", "values"]

Variable = Builder[models.VariableModel]

_KNOWN: Final = "|".join(
    recorded(name) for name in ("requests:rate5m", "requests_running:sum", "time_to_first_token:union_rate5m")
)
"""Recorded of every client, engine and gateway there is: no name of an engine's own is asked for."""


def sources() -> list[Variable]:
    """Return the choice of data sources. The stores of traces are out of the way: links use them, no panel does."""
    metrics = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    traces = [
        dashboard.DatasourceVariable(f"{kind}_datasource")
        .label(f"{kind.title()} data source")
        .type(kind)
        .hide(models.VariableHide.IN_CONTROLS_MENU)
        for kind in ("tempo", "jaeger")
    ]
    return [metrics, *traces]


def chosen() -> list[Variable]:
    """Return what narrows all panels down: each is several values or all."""
    first = values("job", "Job", f'label_values({{__name__=~"{_KNOWN}"}}, {JOB})', all_value=".+")
    narrower = f'{{__name__=~"{_KNOWN}", {JOB}=~"$job"}}'
    others = (
        ("environment", "Environment", ENVIRONMENT),
        ("model", "Model", MODEL),
        ("engine", "Engine", ENGINE),
        ("vantage", "Measured at", VANTAGE),
    )
    return [first, *(values(name, text, f"label_values({narrower}, {of})") for name, text, of in others)]


def values(
    name: str, text: str, query: str, *, all_value: str = ".*", several: bool = True, regex: str = ""
) -> dashboard.QueryVariable:
    """Return a variable whose values come from Prometheus. `.*` for all also takes what lacks the label."""
    made = (
        dashboard.QueryVariable(name)
        .label(text)
        .datasource(store())
        .query(query)
        .definition(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .regex(regex)
        .multi(several)
        .include_all(several)
    )
    if several:
        made.all_value(all_value).current(models.VariableOption(text=["All"], value=["$__all"], selected=True))
    return made


def quantile() -> Variable:
    """Return which percentile the breakdowns show: those that are recorded."""
    options = [
        models.VariableOption(text=f"p{float(q) * 100:g}", value=q, selected=q == "0.99") for q in reversed(QUANTILES)
    ]
    return (
        dashboard.CustomVariable("quantile")
        .label("Percentile")
        .values(", ".join(f"p{float(q) * 100:g} : {q}" for q in reversed(QUANTILES)))
        .options(options)
        .current(options[0])
        .multi(False)
        .include_all(False)
    )


def family(measure: Measure, edges: str) -> Variable:
    """Return which bucket edges the explicit heatmap of a measure shows: buckets add up within one family only."""
    names = "|".join(f"{name}_bucket" for name in measure.sources())
    query = f'label_values({{__name__=~"{names}", {JOB}=~"$job"}}, {edges})'
    made = values(f"{measure.name}_edges", f"Edges: {measure.title}", query, several=False)
    return made.hide(models.VariableHide.IN_CONTROLS_MENU)


def in_order(*groups: Sequence[Variable]) -> list[Variable]:
    """Return the variables of several groups as one list."""
    return [one for group in groups for one in group]
