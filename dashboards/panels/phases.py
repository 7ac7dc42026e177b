"""Panels of what an engine's time is made of: queue, prefill and decode, lengths, speculation, transfers of caches."""

from typing import Final

from otel_llm import conventions
from otel_llm_collector.rule_sources.dimensions import FAMILY
from otel_llm_collector.vocabulary.measures import DECODE, PREFILL, QUEUE, Measure
from otel_llm_collector.vocabulary.prometheus_names import label_name, series_for
from otel_llm_dashboards.drawing import charts
from otel_llm_dashboards.drawing.panel import Panel, Query
from otel_llm_dashboards.drawing.trace_links import slow_calls
from otel_llm_dashboards.queries.labels import (
    ENGINE,
    ERROR,
    INSTANCE,
    INTERVAL,
    JOB,
    MODEL,
    QUANTILE,
    legend,
    selection,
)
from otel_llm_dashboards.queries.recorded import below, recorded_series

__all__ = [
    "accepted",
    "cached",
    "lengths",
    "parts",
    "phase",
    "roles",
    "step_length",
    "transfer_failures",
    "transfers",
]  # fmt: skip

_WHO: Final = (ENGINE, MODEL, JOB)
_ROLE: Final = label_name(conventions.ENGINE_ROLE)
_SOURCE: Final = label_name(conventions.CACHE_SOURCE)
_MIDDLE_AND_TAIL: Final = (("0.5", "p50"), ("0.99", "p99"))

# -- queue, prefill, decode ----------------------------------------------------------------------------------------


def parts() -> Panel:
    """Show the chosen percentile of each part of a request's time, side by side."""
    named = (("queue", QUEUE), ("prefill", PREFILL), ("decode", DECODE))
    return charts.lines(
        "Queue, prefill and decode",
        "The chosen percentile of the time in the queue, of the prefill and of the decode, over 5 minutes: which of "
        "them grew? A long queue wants capacity, a long prefill shorter or cached prompts, a long decode smaller "
        "batches. Parts of different requests, so they do not add up. SGLang does not tell its decode.",
        "s",
        *(Query(_quantile(of), f"{name} {legend(*_WHO)}") for name, of in named),
        logarithmic=True,
        links=slow_calls(QUEUE),
    )


def phase(of: Measure, about: str) -> Panel:
    """Show the chosen percentile of one part of a request's time, and mark where it is only an upper bound."""
    by = ", ".join(_WHO)
    return charts.lines(
        of.heading,
        f"The chosen percentile of the {of.title} over 5 minutes, of each engine by its own bucket edges: {about} A "
        "red point: it is below the first of them (300 ms for vLLM), so the line is only an upper bound there.",
        "s",
        Query(_quantile(of), legend(*_WHO)),
        Query(f"{_quantile(of)}\nand on ({by}) (max by ({by}) ({below(of, QUANTILE)}) == 1)", f"below {legend(*_WHO)}"),
        styles={"below.*": charts.MARKED},
        links=slow_calls(of),
    )


def _quantile(of: Measure) -> str:
    """Return the chosen percentile by engine, model and job; of replicas with different edges, the largest."""
    chosen = selection(f'quantile="{QUANTILE}"', 'histogram!="union"')
    return f"max by ({', '.join(_WHO)}) ({recorded_series(f'{of.name}:quantile5m')}{chosen})"


# -- lengths and caches --------------------------------------------------------------------------------------------


def lengths(key: str, what: str) -> Panel:
    """Show how long prompts or answers are."""
    by = (ENGINE, MODEL, FAMILY)
    buckets = f"sum by ({', '.join((*by, 'le'))}) (rate({series_for(key)}_bucket{selection()}[{INTERVAL}]))"
    return charts.lines(
        f"{what} per request",
        f"{what} of a request: the median and the p99, from the engines' histograms. Latency that grows together with "
        "this is no fault of the engine. The edges of these histograms are far apart.",
        "none",
        *(Query(f"histogram_quantile({q}, {buckets})", f"{name} {legend(*by)}") for q, name in _MIDDLE_AND_TAIL),
        logarithmic=True,
    )


def cached() -> Panel:
    """Show where cached prompt tokens came from."""
    tokens = f"rate({series_for('server_prompt_cached_tokens')}{selection()}[{INTERVAL}])"
    return charts.lines(
        "Cached prompt tokens by source",
        "Prompt tokens per second that a cache had, by where it was: the device's memory, the host's, a disk or "
        "another engine, in the engine's own words. Empty for engines that do not say where.",
        "cps",
        Query(f"sum by ({ENGINE}, {MODEL}, {_SOURCE}) ({tokens})", legend(ENGINE, MODEL, _SOURCE)),
        stacked=True,
    )


# -- speculation ---------------------------------------------------------------------------------------------------


def accepted() -> Panel:
    """Show the share of proposed tokens that were accepted."""
    reported = f"avg by ({', '.join(_WHO)}) ({series_for('server_speculation_accepted_ratio')}{selection()} > 0)"
    return charts.lines(
        "Speculation: accepted tokens",
        "Share of the tokens that speculative decoding proposed which the large model accepted; where "
        "an engine only tells a share, that share (SGLang). When it falls, proposals are work for nothing.",
        "percentunit",
        Query(_ratio("accepted_tokens", "draft_tokens"), f"counted {legend(*_WHO)}"),
        Query(reported, f"reported {legend(*_WHO)}"),
        top=1,
    )


def step_length() -> Panel:
    """Show how many tokens a step of the large model gives."""
    return charts.lines(
        "Speculation: tokens per step",
        "Tokens that one step of the large model gives: one of its own, and the accepted ones. An engine's inter-token "
        "latency is then the time of a step: divide it by this to compare it with what clients see.",
        "none",
        Query(f"1 + {_ratio('accepted_tokens', 'drafts')}", legend(*_WHO)),
    )


def _ratio(above: str, below_it: str) -> str:
    by = ", ".join(_WHO)
    top, bottom = (
        f"sum by ({by}) (rate({series_for(f'server_speculation_{key}')}{selection()}[{INTERVAL}]))"
        for key in (above, below_it)
    )
    return f"{top} / ({bottom} > 0)"


# -- disaggregation ------------------------------------------------------------------------------------------------


def roles() -> Panel:
    """Show the load of engines that only prefill or only decode."""
    load = (("running", "server_requests_running"), ("waiting", "server_requests_waiting"))
    chosen = selection(f'{_ROLE}!=""')
    return charts.lines(
        "Requests by role",
        "Requests that run and wait in engines for prefill, for decode, and for both (`unified`), from their own "
        "gauges: which pool is too small? Only SGLang says which role an engine has.",
        "none",
        *(
            Query(f"sum by ({_ROLE}, {MODEL}) ({series_for(key)}{chosen})", f"{name} {legend(_ROLE, MODEL)}")
            for name, key in load
        ),
    )


def transfers() -> Panel:
    """Show how long caches take from one engine to another."""
    by = (ENGINE, MODEL, FAMILY)
    each = f"rate({series_for('server_kv_transfer_duration')}_bucket{selection()}[{INTERVAL}])"
    buckets = f"sum by ({', '.join((*by, 'le'))}) ({each})"
    return charts.lines(
        "Transfer of caches",
        "How long the key-value cache of a request took from one engine to another, the median and the p99, from the "
        "engines' histograms: it is part of the time to first token.",
        "s",
        *(Query(f"histogram_quantile({q}, {buckets})", f"{name} {legend(*by)}") for q, name in _MIDDLE_AND_TAIL),
        links=slow_calls(QUEUE),
    )


def transfer_failures() -> Panel:
    """Show transfers that failed."""
    failed = f"rate({series_for('server_kv_transfer_failures')}{selection()}[{INTERVAL}])"
    return charts.lines(
        "Transfers that failed",
        "Transfers of key-value caches per second that failed, by replica and kind: the transfer itself, the "
        "connection before it, or a cache that was dropped before anybody fetched it (`kv_expired`).",
        "cps",
        Query(f"sum by ({INSTANCE}, {ERROR}) ({failed})", legend(INSTANCE, ERROR)),
        stacked=True,
    )
