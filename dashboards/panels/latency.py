"""Panels of one latency: its percentiles, and where its tail comes from."""

from collections.abc import Sequence
from typing import Final

from otel_llm_collector.rule_sources.dimensions import FAMILY, QUANTILES
from otel_llm_collector.vocabulary.measures import Measure
from otel_llm_dashboards.drawing import charts
from otel_llm_dashboards.drawing.panel import Panel, Query
from otel_llm_dashboards.drawing.trace_links import slow_calls
from otel_llm_dashboards.queries.labels import (
    ENGINE,
    JOB,
    MODEL,
    PROVIDER,
    QUANTILE,
    TRAFFIC,
    VANTAGE,
    legend,
    percentile_name,
    selection,
)
from otel_llm_dashboards.queries.raw import raw_percentile
from otel_llm_dashboards.queries.recorded import below, clipped, percentile, recorded_series

__all__ = ["breakdown", "client_minus_server", "percentiles", "provider", "tails"]

_DRAWN: Final = tuple(q for q in QUANTILES if q != "0.95")
"""All recorded percentiles but p95, whose line would hide those of p90 and p99. Breakdowns can show it."""
_WHO: Final = (MODEL, VANTAGE)
_SPLITS: Final = {"model": _WHO, "engine": (ENGINE, VANTAGE), "service": (JOB, VANTAGE)}


def percentiles(of: Measure) -> Panel:
    """Show percentiles by model and vantage, and mark where the p99 is only a lower bound."""
    shown = [Query(percentile(q, of, _WHO), f"{percentile_name(q)} {legend(*_WHO)}") for q in _DRAWN]
    by = ", ".join(_WHO)
    bound = f"{percentile('0.99', of, _WHO)}\nand on ({by}) (max by ({by}) ({clipped(of, '0.99')}) == 1)"
    under = f"{percentile('0.5', of, _WHO)}\nand on ({by}) (max by ({by}) ({below(of, '0.5')}) == 1)"
    return charts.lines(
        of.heading,
        f"Percentiles of the {of.title} over 5 minutes, of successful requests, by model and by where it was "
        "measured. Exponential histograms are added up directly, explicit ones once each family of edges has been "
        "read on one common grid. A red point: at least one source has its p99 above its last bucket edge, so the "
        "line is only a lower bound there. A red point on the p50: at least one source has its p50 below its first "
        "bucket edge, so the line is only an upper bound there.",
        "s",
        *shown,
        Query(bound, f"p99 clipped {legend(*_WHO)}"),
        Query(under, f"p50 below {legend(*_WHO)}"),
        styles={"p99 clipped.*": charts.MARKED, "p50 below.*": charts.MARKED},
        logarithmic=True,
        links=slow_calls(of),
    )


def tails(of: Measure) -> Sequence[Panel]:
    """Return the panels that break a tail down: by model, engine, service and provider, and client minus server."""
    return [
        *(breakdown(of, what, labels) for what, labels in _SPLITS.items()),
        provider(of),
        client_minus_server(of),
    ]


def breakdown(of: Measure, what: str, labels: Sequence[str], *more: str) -> Panel:
    """Show the chosen percentile by labels of the recorded histogram. what: these labels in words."""
    return charts.lines(
        f"{of.heading} by {what}",
        f"The chosen percentile of the {of.title} by {what} and by where it was measured, over 5 minutes, from the "
        "recorded histogram on the common grid. Where a client's line is above its engine's, the difference is time "
        "spent between them.",
        "s",
        Query(percentile(QUANTILE, of, labels, *more), legend(*labels)),
        links=slow_calls(of),
    )


def provider(of: Measure) -> Panel:
    """Show the chosen percentile by provider, from the histograms as they were sent."""
    by = (PROVIDER, VANTAGE)
    return charts.lines(
        f"{of.heading} by provider",
        f"The chosen percentile of the {of.title} by provider, as clients name it, from the histograms as they were "
        "sent: ours, otherwise those of either version of the conventions. Explicit histograms have one line for "
        "each family of edges.",
        "s",
        Query(raw_percentile(QUANTILE, of, "exponential", by), f"{legend(*by)} · exponential"),
        Query(raw_percentile(QUANTILE, of, "explicit", by), f"{legend(*by, FAMILY)}"),
        links=slow_calls(of),
    )


def client_minus_server(of: Measure) -> Panel:
    """Show how much later clients see a percentile than the server that they call."""
    chosen = selection(f'quantile="{QUANTILE}"', by=(MODEL, VANTAGE, TRAFFIC))
    return charts.lines(
        f"{of.heading}: client minus server",
        f"How much later clients see the chosen percentile of the {of.title} than the gateway, frontend or engine "
        "that they call, by model: time spent in the network, in proxies and in queues on the way. Both sides are "
        "read on the same grid. Percentiles do not subtract exactly, so treat small values as zero.",
        "s",
        Query(f"{recorded_series(f'{of.name}:client_minus5m')}{chosen}", f"client − {legend(VANTAGE, MODEL)}"),
        signed=True,
        links=slow_calls(of, of),
    )
