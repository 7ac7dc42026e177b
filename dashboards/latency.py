"""Panels of one latency: percentiles that are right, where their tail comes from, and how values are spread."""

from collections.abc import Sequence
from typing import Final

from otel_llm_collector.rules_percentiles import FAMILY, SUCCEEDED
from otel_llm_collector.series import Measure
from otel_llm_dashboards import panels, queries
from otel_llm_dashboards.panels import Panel, Query
from otel_llm_dashboards.queries import ENGINE, JOB, MODEL, PROVIDER, QUANTILE, VANTAGE, legend
from otel_llm_dashboards.recorded import recorded

__all__ = [
    "DURATION",
    "ITL",
    "QUEUE",
    "SHOWN",
    "TPOT",
    "TTFT",
    "behind",
    "by",
    "capital",
    "clipped",
    "heat",
    "percentiles",
    "provider",
    "tails",
]

TTFT: Final = queries.measure("time_to_first_token")
ITL: Final = queries.measure("inter_token_latency")
TPOT: Final = queries.measure("time_per_output_token")
DURATION: Final = queries.measure("request_duration")
QUEUE: Final = queries.measure("queue_duration")
SHOWN: Final = (TTFT, ITL, TPOT, DURATION)
"""What everybody waits for; the queue is the engines' own."""
_WHO: Final = (MODEL, VANTAGE)
_SPLITS: Final = {"model": _WHO, "engine": (ENGINE, VANTAGE), "service": (JOB, VANTAGE)}


def percentiles(of: Measure) -> Panel:
    """p50, p90 and p99 by model and vantage, and a mark where the p99 is only a lower bound."""
    shown = [
        Query(queries.percentile(q, of, _WHO), f"p{float(q) * 100:g} {legend(*_WHO)}") for q in ("0.5", "0.9", "0.99")
    ]
    by = ", ".join(_WHO)
    bound = f"{queries.percentile('0.99', of, _WHO)}\nand on ({by}) (max by ({by}) ({clipped(of, '0.99')}) == 1)"
    return panels.lines(
        capital(of.title),
        f"Percentiles of the {of.title} over 5 minutes, of successful requests, by model and by where it was measured. "
        "Exponential histograms are added up as they are, explicit ones after each family of edges was read off at one "
        "grid. A red point: some source has its p99 above its last edge, the line is a lower bound there.",
        "s",
        *shown,
        Query(bound, f"p99 clipped {legend(*_WHO)}"),
        styles={"p99 clipped.*": panels.MARKED},
        logarithmic=True,
    )


def tails(of: Measure) -> Sequence[Panel]:
    """The chosen percentile by model, engine, service and provider, and how much later clients see it."""
    return [
        *(by(of, what, labels) for what, labels in _SPLITS.items()),
        provider(of),
        behind(of),
    ]


def by(of: Measure, what: str, labels: Sequence[str], *more: str) -> Panel:
    """The chosen percentile by some labels of the recorded histogram."""
    return panels.lines(
        f"{capital(of.title)} by {what}",
        f"The chosen percentile of the {of.title} by {what} and by where it was measured, over 5 minutes, from the "
        "recorded histogram on the common grid. A client's line above its engine's: see how much later below.",
        "s",
        Query(queries.percentile(QUANTILE, of, labels, *more), legend(*labels)),
    )


def provider(of: Measure) -> Panel:
    """The chosen percentile by provider, from the histograms as they were sent."""
    by = (PROVIDER, VANTAGE)
    return panels.lines(
        f"{capital(of.title)} by provider",
        f"The chosen percentile of the {of.title} by provider, as clients name it, from the histograms as they were "
        "sent: ours, else the conventions' of either generation. Explicit ones have a line for each family of edges.",
        "s",
        Query(queries.raw_percentile(QUANTILE, of, "exponential", by), f"{legend(*by)} · exponential"),
        Query(queries.raw_percentile(QUANTILE, of, "explicit", by), f"{legend(*by, FAMILY)}"),
    )


def behind(of: Measure) -> Panel:
    """How much later clients see it than what they ask."""
    chosen = queries.where(f'quantile="{QUANTILE}"', by=(MODEL, VANTAGE))
    return panels.lines(
        f"{capital(of.title)}: client minus server",
        f"How much later clients see the chosen percentile of the {of.title} than the gateway, frontend or engine "
        "that they ask, by model: network, proxies and queues in front. Both sides are read off the same grid; "
        "percentiles do not subtract exactly, so small values mean none.",
        "s",
        Query(f"{recorded(f'{of.name}:client_minus5m')}{chosen}", f"client − {legend(VANTAGE, MODEL)}"),
        signed=True,
    )


def heat(of: Measure, kind: str) -> Panel:
    """How values are spread over time, with exemplars."""
    explicit = kind == "explicit"
    edges = (f'{FAMILY}="${of.name}_edges"',) if explicit else ()
    chosen = queries.where(SUCCEEDED, *edges)
    which = (
        "Explicit histograms of one family of edges (the choice `Edges`): buckets of different edges do not add up."
        if explicit
        else "Exponential histograms."
    )
    return panels.heatmap_of(
        f"{capital(of.title)}, {kind} histograms",
        f"Requests or gaps per second by {of.title}, of all that is chosen. {which} Choose one place of measurement, "
        "else what client and engine both measured counts twice. The dots are exemplars: click one, and its trace "
        "opens in Jaeger or Tempo, where the data source knows the way.",
        "s",
        Query(queries.raw_histogram(of, kind, ("le",) if explicit else (), chosen), "{{le}}", exemplars=True),
    )


def clipped(of: Measure, q: str) -> str:
    """Return what is 1 where a percentile is above the last edge of its source, and 0 elsewhere."""
    chosen = queries.where(f'quantile="{q}"')
    return f"{recorded(f'{of.name}:quantile_clipped5m')}{chosen}"


def capital(text: str) -> str:
    """Return it as a title."""
    return text[0].upper() + text[1:]
