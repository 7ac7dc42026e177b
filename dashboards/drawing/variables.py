"""What can be chosen at the top of a board. A choice has one name on all boards, so that links carry it along."""

from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from otel_llm_collector.rule_sources.dimensions import FAMILY, QUANTILES
from otel_llm_collector.vocabulary.measures import Measure
from otel_llm_dashboards.drawing.panel import data_source
from otel_llm_dashboards.drawing.trace_links import SERVICE, promise
from otel_llm_dashboards.queries.labels import (
    CLUSTER,
    ENGINE,
    ENVIRONMENT,
    JOB,
    MODEL,
    NAMESPACE,
    VANTAGE,
    percentile_name,
)
from otel_llm_dashboards.queries.recorded import recorded_series

__all__ = ["SENDERS", "Variable", "bucket_edges", "data_sources", "quantile", "query_values", "scope", "slow_calls"]

Variable = Builder[models.VariableModel]

_OPTIONS: Final = tuple(reversed(QUANTILES))
_SHOWN_FIRST: Final = "0.99"

_KNOWN: Final = "|".join(
    recorded_series(name) for name in ("requests:rate5m", "requests_running:sum", "time_to_first_token:union_rate5m")
)
"""Every client, engine and gateway has one of these, so that no metric of a particular engine is asked for."""


SENDERS: Final = f"label_values(traces_span_metrics_calls_total, {JOB})"
"""Services that send spans of calls, by what the Collector counts of them."""


def data_sources() -> list[Variable]:
    """Return the choice of data sources. Those for traces are in the menu of controls: only links use them."""
    metrics = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    traces = [
        dashboard.DatasourceVariable(f"{kind}_datasource")
        .label(f"{kind.title()} data source")
        .type(kind)
        .hide(models.VariableHide.IN_CONTROLS_MENU)
        for kind in ("tempo", "jaeger")
    ]
    return [metrics, *traces]


def scope() -> list[Variable]:
    """Return the choices that narrow down all panels; each takes several values, or all."""
    first = query_values("job", "Job", f'label_values({{__name__=~"{_KNOWN}"}}, {JOB})', all_value=".+")
    narrower = f'{{__name__=~"{_KNOWN}", {JOB}=~"$job"}}'
    others = (
        ("environment", "Environment", ENVIRONMENT),
        ("cluster", "Cluster", CLUSTER),
        ("namespace", "Namespace", NAMESPACE),
        ("model", "Model", MODEL),
        ("engine", "Engine", ENGINE),
        ("vantage", "Measured at", VANTAGE),
    )
    chosen = [query_values(name, text, f"label_values({narrower}, {of})") for name, text, of in others]
    return [first, *chosen, _left_out()]


def _left_out() -> dashboard.CustomVariable:
    """Return the choice whether load runs are shown among users; they are not, unless somebody asks for them."""
    return (
        dashboard.CustomVariable("left_out")
        .label("Load runs")
        .values("left out : load_run,shown with users : nothing")
        .options(
            [
                models.VariableOption(selected=True, text="left out", value="load_run"),
                models.VariableOption(selected=False, text="shown with users", value="nothing"),
            ]
        )
        .current(models.VariableOption(selected=True, text="left out", value="load_run"))
    )


def slow_calls(jobs: str, *measures: Measure) -> list[Variable]:
    """Return what links to slow calls need: a service whose traces are searched, and what is promised of measures.

    jobs: the query for services that send spans
    """
    service = query_values(SERVICE, "Traces of", jobs, several=False).hide(models.VariableHide.IN_CONTROLS_MENU)
    return [service, *map(_promised, measures)]


def _promised(of: Measure) -> Variable:
    """Return the threshold that holds for all models, in seconds, as a choice that nobody sees."""
    matchers = f'measure="{of.name}", {MODEL}=""'
    query = f"query_result(max({recorded_series('slo_threshold:seconds')}{{{matchers}}}))"
    made = query_values(promise(of), f"Promised: {of.title}", query, several=False, regex=r"/^\{\} (\S+) /")
    return made.hide(models.VariableHide.HIDE_VARIABLE)


def query_values(
    name: str, text: str, query: str, *, all_value: str = ".*", several: bool = True, regex: str = ""
) -> dashboard.QueryVariable:
    """Return a variable whose values come from Prometheus. As the value for all, `.*` also matches a missing label."""
    made = (
        dashboard.QueryVariable(name)
        .label(text)
        .datasource(data_source())
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
    """Return the choice of the percentile that breakdowns show, one of those that are recorded."""
    options = [models.VariableOption(text=percentile_name(q), value=q, selected=q == _SHOWN_FIRST) for q in _OPTIONS]
    return (
        dashboard.CustomVariable("quantile")
        .label("Percentile")
        .values(", ".join(f"{percentile_name(q)} : {q}" for q in _OPTIONS))
        .options(options)
        .current(options[_OPTIONS.index(_SHOWN_FIRST)])
        .multi(False)
        .include_all(False)
    )


def bucket_edges(measure: Measure) -> Variable:
    """Return the choice of bucket edges for a measure's explicit heatmap: buckets add up only within a family."""
    names = "|".join(f"{name}_bucket" for name in measure.sources())
    query = f'label_values({{__name__=~"{names}", {JOB}=~"$job"}}, {FAMILY})'
    made = query_values(f"{measure.name}_edges", f"Edges: {measure.title}", query, several=False)
    return made.hide(models.VariableHide.IN_CONTROLS_MENU)
