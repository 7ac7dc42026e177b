"""Board 4: what is promised, whether it is kept, and how fast the error budget is spent."""

from collections.abc import Sequence
from typing import Final

from otel_llm_collector.rule_sources.alerts import alerts
from otel_llm_collector.rule_sources.attainment import PROMISED, WINDOWS
from otel_llm_collector.vocabulary.measures import TTFT, Measure
from otel_llm_dashboards.drawing import charts, variables
from otel_llm_dashboards.drawing.board import Board, Row
from otel_llm_dashboards.drawing.panel import Panel, Query
from otel_llm_dashboards.drawing.tables import Column, table
from otel_llm_dashboards.drawing.trace_links import slow_calls
from otel_llm_dashboards.queries.labels import JOB, MODEL, RUN, TRAFFIC, VANTAGE, legend, selection
from otel_llm_dashboards.queries.recorded import recorded_series

__all__ = ["board"]

_MEASURES: Final = tuple(m for m in PROMISED)
_WHO: Final = (JOB, MODEL, VANTAGE)
_FAST, _SLOW = 14.4, 6
_OBJECTIVE: Final = recorded_series("slo_objective:ratio")


def board() -> Board:
    """Return the board."""
    return Board(
        "slo",
        "LLM SLO",
        "What collector/rules/slo.yaml promises, whether the promises are kept, and how fast the error budget is "
        "spent. Edit the promises there: these panels read them.",
        rows=(
            Row("Promises", (objective(), thresholds(), left_now(), firing_now()), folded=False),
            Row("Error budget", (budget(),), folded=False),
            Row("Share within the promise", [attainment(m) for m in _MEASURES], folded=False),
            Row("How fast the budget goes", [burn(m) for m in _MEASURES]),
            Row("What was slow", [slow(m) for m in _MEASURES]),
            Row("Goodput: requests that met every term at once", (goodput(), good_share())),
            Row("Alerts", (firing(),)),
        ),
        variables=[
            *variables.data_sources(),
            *variables.scope(),
            *variables.slow_calls(variables.SENDERS, TTFT),
        ],
        links=slow_calls(TTFT, TTFT),
        span="now-6h",
    )


# -- promises ------------------------------------------------------------------------------------------------------


def objective() -> Panel:
    """Show the share of values that should be within the thresholds."""
    return charts.number(
        "Objective",
        "The share of values that should be within the threshold of their measure, from rules/slo.yaml: for all, and "
        "for single models.",
        "percentunit",
        Query(_OBJECTIVE, legend(MODEL)),
        width=3,
    )


def thresholds() -> Panel:
    """Show the thresholds above which a value is slow."""
    return charts.number(
        "Slow above",
        "A request, or a gap between two tokens, is slow above this, from rules/slo.yaml: for all, and for single "
        "models.",
        "s",
        Query(recorded_series("slo_threshold:seconds"), legend("measure", MODEL)),
        width=11,
    )


def left_now() -> Panel:
    """Show the smallest rest of an error budget."""
    each = (f'label_replace({_left(m)}, "measure", "{m.name}", "", "")' for m in _MEASURES)
    return charts.number(
        "Least budget left",
        "What is left of the error budget over this time range, for the service, model and measure that has the "
        "least. Below 0: the promise is broken. 100 %: nothing was slow.",
        "percentunit",
        Query("min(\n" + "\nor\n".join(each) + "\n)", once=True),
        width=5,
    )


def firing_now() -> Panel:
    """Show how many alerts are firing."""
    return charts.number(
        "Firing alerts",
        "Alerts of rules/alerts.yaml that are firing now. Each has a page in runbooks/, beside the rules.",
        "none",
        Query(f"count({_alerts('firing')}) or vector(0)"),
        limits=((1, "red"),),
        width=5,
    )


# -- error budget --------------------------------------------------------------------------------------------------


def budget() -> Panel:
    """Show what is left of the budget of every service, model and measure."""
    return table(
        "Error budget left over this time range",
        "1 minus the share of slow values divided by the share that may be slow, over this time range, from the "
        "recorded rates. 100 %: nothing was slow; 0: the budget is spent; below: the promise is broken. Choose 30 "
        "days for a month's budget, if Prometheus keeps that much.",
        {JOB: "Service", MODEL: "Model", VANTAGE: "Measured at"},
        *(Column(m.heading, _left(m), "percentunit") for m in _MEASURES),
    )


def attainment(of: Measure) -> Panel:
    """Show the share of values within the threshold."""
    return charts.lines(
        f"{of.heading} within its threshold",
        f"Share of values of the {of.title} within the threshold over 5 minutes, and as a dashed line the objective. "
        "For explicit histograms it is exact if the threshold is a bucket edge; between two edges values are spread "
        "evenly in the logarithm, as in all percentiles.",
        "percentunit",
        Query(f"{recorded_series(f'{of.name}:attainment5m')}{selection()}", f"{legend(*_WHO, 'histogram')}"),
        Query(_OBJECTIVE, "objective"),
        styles={"objective": charts.DASHED},
        top=1,
    )


def burn(of: Measure) -> Panel:
    """Show how many times faster than allowed the budget is spent."""
    ratio = recorded_series(f"{of.name}:slow_ratio")
    return charts.lines(
        f"{of.heading}: burn rate",
        "Share of slow values divided by the share that may be slow, over windows of 5 minutes to 6 hours. At 1, "
        f"the budget lasts exactly as long as the objective's period. {_FAST:g} over both 5m and 1h pages, {_SLOW:g} "
        "over both 30m and 6h opens a ticket: both must be above, so that an alert ends when its cause does.",
        "none",
        *(Query(_burning(of, ratio, window), f"{window} {legend(*_WHO)}") for window in ("5m", *WINDOWS)),
        limits=((1, "yellow"), (_SLOW, "orange"), (_FAST, "red")),
    )


def slow(of: Measure) -> Panel:
    """Show how many values per second were slow."""
    return charts.lines(
        f"Slow values per second: {of.title}",
        f"How many values of the {of.title} per second were above the threshold, and as dashed lines how many there "
        "were in all, over 5 minutes, from the recorded rates.",
        "cps",
        Query(f"{recorded_series(f'{of.name}:slow_rate5m')}{selection()}", f"slow {legend(*_WHO)}"),
        Query(f"{recorded_series(f'{of.name}:count_rate5m')}{selection()}", f"all {legend(*_WHO)}"),
        styles={"all .*": charts.DASHED},
    )


def goodput() -> Panel:
    """Show the requests per second that met every term."""
    return charts.lines(
        "Goodput",
        "Requests per second that met every term of their SLO at once, over 5 minutes, counted as they ended, by "
        "the load generator or the library. It cannot be derived from percentiles: they do not say which slow first "
        "tokens also belonged to slow answers.",
        "reqps",
        Query(f"{recorded_series('goodput:rate5m')}{selection(by=(JOB, TRAFFIC))}", legend(JOB, RUN)),
    )


def good_share() -> Panel:
    """Show the share of requests that met every term."""
    return charts.lines(
        "Share of requests that met every term",
        "Requests that met every term of their SLO, as a share of all that were judged, over 5 minutes.",
        "percentunit",
        Query(f"{recorded_series('goodput:ratio5m')}{selection(by=(JOB, TRAFFIC))}", legend(JOB, RUN)),
        top=1,
    )


def firing() -> Panel:
    """Show which alerts are pending or firing."""
    return charts.states(
        "Alerts",
        "Alerts of collector/rules/alerts.yaml that are pending or firing, and since when. Empty is good.",
        Query(f"max by (alertname, {JOB}, {MODEL}) ({_alerts('firing')}) + 1", f"{legend('alertname', JOB, MODEL)}"),
        Query(
            f"max by (alertname, {JOB}, {MODEL}) ({_alerts('pending')})", f"{legend('alertname', JOB, MODEL)} pending"
        ),
        words={"1": ("pending", "orange"), "2": ("firing", "red")},
        width=24,
    )


# -- queries -------------------------------------------------------------------------------------------------------


def _left(of: Measure) -> str:
    """Return the query for what is left of an error budget over the time range."""
    by = ", ".join(_WHO)
    bad, every = (
        f"sum by ({by}) (sum_over_time({recorded_series(f'{of.name}:{rate}')}{selection()}[$__range]))"
        for rate in ("slow_rate5m", "count_rate5m")
    )
    may_be = f"max by ({by}) ({_budget(of)}{selection()})"
    return f"1 - ({bad} / ({every} > 0)) / {may_be}"


def _burning(of: Measure, ratio: str, window: str) -> str:
    chosen = selection(f'window="{window}"')
    return f"{ratio}{chosen} / ignoring (window) group_left () {_budget(of)}"


def _budget(of: Measure) -> str:
    """Return the series of the share of values that may be slow."""
    return recorded_series(f"{of.name}:slo_budget")


def _alerts(state: str) -> str:
    names: Sequence[str] = [alert.name for alert in alerts()]
    return f'ALERTS{{alertname=~"{"|".join(names)}", alertstate="{state}"}}'
