"""Panels that tell the replicas of an engine apart: which one is slow, full, or fails."""

from typing import Final

from otel_llm import conventions
from otel_llm_collector.rule_sources.dimensions import FAMILY
from otel_llm_collector.vocabulary.measures import ITL, TTFT, Measure
from otel_llm_collector.vocabulary.prometheus_names import label_name, series_for
from otel_llm_dashboards.drawing import charts
from otel_llm_dashboards.drawing.panel import Panel, Query
from otel_llm_dashboards.drawing.trace_links import slow_calls
from otel_llm_dashboards.queries.labels import (
    ERROR,
    HAS_ENGINE,
    INSTANCE,
    INTERVAL,
    JOB,
    POD,
    QUANTILE,
    legend,
    selection,
)
from otel_llm_dashboards.queries.raw import KINDS, raw_percentile

__all__ = ["failures", "first_token", "gaps", "load", "restarts"]

_REPLICA: Final = (JOB, POD, INSTANCE)
_BY: Final = ", ".join(_REPLICA)


def first_token() -> Panel:
    """Show the chosen percentile of the time to first token of each replica."""
    return _latency(TTFT)


def gaps() -> Panel:
    """Show the chosen percentile of the inter-token latency of each replica."""
    return _latency(ITL)


def _latency(of: Measure) -> Panel:
    succeeded = f'{label_name(conventions.ERROR_TYPE)}=""'
    chosen = selection(succeeded, HAS_ENGINE)
    queries = (raw_percentile(QUANTILE, of, kind, _REPLICA, chosen) for kind in KINDS)
    return charts.lines(
        f"{of.heading} by replica",
        f"The chosen percentile of the {of.title} of each replica, from its own histogram as it is: compare replicas "
        "of one engine here, and engines on the common grid. One line far above the others: that replica is slow.",
        "s",
        *(
            Query(query, legend(*_REPLICA, *((FAMILY,) if kind == "explicit" else ())))
            for kind, query in zip(KINDS, queries, strict=True)
        ),
        links=slow_calls(of),
    )


def load() -> Panel:
    """Show how many requests run and wait at each replica."""
    what = (("running", "server_requests_running"), ("waiting", "server_requests_waiting"))
    return charts.lines(
        "Requests by replica",
        "Requests that run and wait at each replica, from its own gauges. Does the load balancer send one of them too "
        "many, or none at all?",
        "none",
        *(
            Query(f"sum by ({_BY}) ({series_for(key)}{selection()})", f"{name} {legend(*_REPLICA)}")
            for name, key in what
        ),
        styles={"waiting .*": charts.DASHED},
    )


def failures() -> Panel:
    """Show failed requests of each replica by kind."""
    by = (*_REPLICA, ERROR)
    counted = ("server_requests", "server_requests_failed")
    chosen = selection(f'{ERROR}!=""')
    each = "\nor\n".join(f"sum by ({', '.join(by)}) (rate({series_for(key)}{chosen}[{INTERVAL}]))" for key in counted)
    return charts.lines(
        "Failed requests by replica",
        "Requests per second that failed or were refused at each replica, by error.type. docs/engines.md says which "
        "engines count what.",
        "reqps",
        Query(each, legend(*by)),
        stacked=True,
    )


def restarts() -> Panel:
    """Show when the counters of a replica began anew."""
    tokens = f"{series_for('server_generation_tokens')}{selection()}"
    return charts.lines(
        "Restarts by replica",
        "How often the counters of a replica began again from zero in the last 5 minutes: it restarted. Requests that "
        "it was working on are gone, and its caches are cold.",
        "none",
        Query(f"max by ({_BY}) (resets({tokens}[5m]))", legend(*_REPLICA)),
    )
