"""Panels of one latency: percentiles that are right, where their tail comes from, and how values are spread."""

from collections.abc import Sequence
from typing import Final

from otel_llm_collector.rule_sources.dimensions import FAMILY, SUCCEEDED
from otel_llm_collector.vocabulary.measures import Measure
from otel_llm_dashboards.drawing import charts
from otel_llm_dashboards.drawing.panel import Panel, Query
from otel_llm_dashboards.queries.labels import ENGINE, JOB, MODEL, PROVIDER, QUANTILE, VANTAGE, legend, selection
from otel_llm_dashboards.queries.raw import raw_histogram, raw_percentile
from otel_llm_dashboards.queries.recorded import clipped, percentile, recorded_series

__all__ = ["by", "client_minus_server", "heat", "percentiles", "provider", "tails"]

_WHO: Final = (MODEL, VANTAGE)
_SPLITS: Final = {"model": _WHO, "engine": (ENGINE, VANTAGE), "service": (JOB, VANTAGE)}


def percentiles(of: Measure) -> Panel:
    """p50, p90 and p99 by model and vantage, and a mark where the p99 is only a lower bound."""
    shown = [Query(percentile(q, of, _WHO), f"p{float(q) * 100:g} {legend(*_WHO)}") for q in ("0.5", "0.9", "0.99")]
    by = ", ".join(_WHO)
    bound = f"{percentile('0.99', of, _WHO)}\nand on ({by}) (max by ({by}) ({clipped(of, '0.99')}) == 1)"
    return charts.lines(
        of.heading,
        f"Percentiles of the {of.title} over 5 minutes, of successful requests, by model and by where it was measured. "
        "Exponential histograms are added up as they are, explicit ones after each family of edges was read off at one "
        "grid. A red point: some source has its p99 above its last edge, the line is a lower bound there.",
        "s",
        *shown,
        Query(bound, f"p99 clipped {legend(*_WHO)}"),
        styles={"p99 clipped.*": charts.MARKED},
        logarithmic=True,
    )


def tails(of: Measure) -> Sequence[Panel]:
    """The chosen percentile by model, engine, service and provider, and how much later clients see it."""
    return [
        *(by(of, what, labels) for what, labels in _SPLITS.items()),
        provider(of),
        client_minus_server(of),
    ]


def by(of: Measure, what: str, labels: Sequence[str], *more: str) -> Panel:
    """The chosen percentile by some labels of the recorded histogram."""
    return charts.lines(
        f"{of.heading} by {what}",
        f"The chosen percentile of the {of.title} by {what} and by where it was measured, over 5 minutes, from the "
        "recorded histogram on the common grid. A client's line above its engine's: see how much later below.",
        "s",
        Query(percentile(QUANTILE, of, labels, *more), legend(*labels)),
    )


def provider(of: Measure) -> Panel:
    """The chosen percentile by provider, from the histograms as they were sent."""
    by = (PROVIDER, VANTAGE)
    return charts.lines(
        f"{of.heading} by provider",
        f"The chosen percentile of the {of.title} by provider, as clients name it, from the histograms as they were "
        "sent: ours, else the conventions' of either generation. Explicit ones have a line for each family of edges.",
        "s",
        Query(raw_percentile(QUANTILE, of, "exponential", by), f"{legend(*by)} · exponential"),
        Query(raw_percentile(QUANTILE, of, "explicit", by), f"{legend(*by, FAMILY)}"),
    )


def client_minus_server(of: Measure) -> Panel:
    """How much later clients see it than what they ask."""
    chosen = selection(f'quantile="{QUANTILE}"', by=(MODEL, VANTAGE))
    return charts.lines(
        f"{of.heading}: client minus server",
        f"How much later clients see the chosen percentile of the {of.title} than the gateway, frontend or engine "
        "that they ask, by model: network, proxies and queues in front. Both sides are read off the same grid; "
        "percentiles do not subtract exactly, so small values mean none.",
        "s",
        Query(f"{recorded_series(f'{of.name}:client_minus5m')}{chosen}", f"client − {legend(VANTAGE, MODEL)}"),
        signed=True,
    )


def heat(of: Measure, kind: str) -> Panel:
    """How values are spread over time, with exemplars."""
    explicit = kind == "explicit"
    edges = (f'{FAMILY}="${of.name}_edges"',) if explicit else ()
    chosen = selection(SUCCEEDED, *edges)
    which = (
        "Explicit histograms of one family of edges (the choice `Edges`): buckets of different edges do not add up."
        if explicit
        else "Exponential histograms."
    )
    return charts.heatmap(
        f"{of.heading}, {kind} histograms",
        f"Requests or gaps per second by {of.title}, of all that is chosen. {which} Choose one place of measurement, "
        "else what client and engine both measured counts twice. The dots are exemplars: click one, and its trace "
        "opens in Jaeger or Tempo, where the data source knows the way.",
        "s",
        Query(raw_histogram(of, kind, ("le",) if explicit else (), chosen), "{{le}}", exemplars=True),
    )
