"""Panels of how full engines are: load, queue, caches and tokens, and means where an engine has no percentiles."""

from typing import Final

from otel_llm import conventions
from otel_llm_collector.vocabulary.measures import DURATION, QUEUE, TPOT, TTFT
from otel_llm_collector.vocabulary.prometheus_names import label_name, series_for
from otel_llm_dashboards.drawing import charts
from otel_llm_dashboards.drawing.panel import Panel, Query
from otel_llm_dashboards.drawing.trace_links import slow_calls
from otel_llm_dashboards.queries.labels import (
    ENGINE,
    HAS_ENGINE,
    INSTANCE,
    INTERVAL,
    JOB,
    MODEL,
    legend,
    percentile_name,
    selection,
)
from otel_llm_dashboards.queries.recorded import below, percentile, recorded_series

__all__ = [
    "cache",
    "generated",
    "mean_duration",
    "mean_prompt",
    "mean_queue",
    "mean_token",
    "preemptions",
    "prefix",
    "prompt",
    "queue",
    "queue_seen",
    "replicas",
    "running",
    "share",
    "waiting",
]  # fmt: skip

_WHO: Final = (ENGINE, MODEL, JOB)
_RANK: Final = label_name(conventions.ENGINE_RANK)
_MEANS: Final = "Triton and llama.cpp give totals and no histogram: this is a mean, never a percentile."
_SUCCEEDED: Final = (
    "Of requests that succeeded, as both the totals and the counts are. Triton leaves out the stream of a decoupled "
    "model."
)

# -- load and queue ------------------------------------------------------------------------------------------------


def running() -> Panel:
    """Show the requests that engines are working on."""
    return charts.lines(
        "Running requests",
        "Requests that engines are working on, all replicas of a job together, from their own gauges.",
        "none",
        Query(f"{recorded_series('requests_running:sum')}{selection()}", legend(*_WHO)),
    )


def waiting() -> Panel:
    """Show the requests that are waiting in engines."""
    return charts.lines(
        "Waiting requests",
        "Requests that are waiting in engines, all replicas of a job together, from their own gauges. Dynamo counts "
        "requests in prefill as waiting.",
        "none",
        Query(f"{recorded_series('requests_waiting:sum')}{selection()}", legend(*_WHO)),
    )


def share() -> Panel:
    """Show the share of an engine's requests that are waiting."""
    return charts.lines(
        "Share of requests that wait",
        "Waiting requests as a share of waiting and running ones. Above 50 %, the alert OtelLlmSaturated starts.",
        "percentunit",
        Query(f"{recorded_series('requests_waiting:ratio')}{selection()}", legend(*_WHO)),
        limits=((0.5, "red"),),
        top=1,
    )


def queue(q: str) -> Panel:
    """Show a percentile of the time in the queue, and mark where it is only an upper bound."""
    shown, by = percentile(q, QUEUE, _WHO), ", ".join(_WHO)
    return charts.lines(
        f"Time in the queue, {percentile_name(q)}",
        "How long requests waited in the engine before they ran, over 5 minutes, from the engines' histograms, read "
        "on the common grid. A red point: the percentile is below the first bucket edge (300 ms for vLLM), so the "
        "line is only an upper bound there.",
        "s",
        Query(shown, legend(*_WHO)),
        Query(f"{shown}\nand on ({by}) (max by ({by}) ({below(QUEUE, q)}) == 1)", f"below {legend(*_WHO)}"),
        styles={"below.*": charts.MARKED},
        links=slow_calls(QUEUE),
    )


def queue_seen() -> Panel:
    """Show how much of the time to first token is spent in the queue."""
    first = TTFT
    return charts.lines(
        "First token and queue, p50",
        "The median time to first token of engines, and below it the median time in their queue. The difference is "
        "prefill and the time for one token. Percentiles do not add up, but medians come close.",
        "s",
        Query(percentile("0.5", first, (ENGINE, MODEL), HAS_ENGINE), f"first token {legend(ENGINE, MODEL)}"),
        Query(percentile("0.5", QUEUE, (ENGINE, MODEL)), f"queue {legend(ENGINE, MODEL)}"),
        links=slow_calls(TTFT),
    )


# -- caches --------------------------------------------------------------------------------------------------------


def cache() -> Panel:
    """Show how full the key-value caches are."""
    return charts.lines(
        "Key-value cache in use",
        "Share of the key-value cache in use across the replicas of a job: at the fullest one, and the mean. Shares "
        "are never added up.",
        "percentunit",
        Query(f"{recorded_series('kv_cache:max')}{selection()}", f"fullest {legend(*_WHO)}"),
        Query(f"{recorded_series('kv_cache:avg')}{selection()}", f"mean {legend(*_WHO)}"),
        limits=((0.95, "red"),),
        styles={"mean .*": charts.DASHED},
        top=1,
    )


def replicas() -> Panel:
    """Show how full each replica's cache is."""
    return charts.lines(
        "Key-value cache by replica",
        "Share of the key-value cache in use at each replica and rank, from its own gauge: is the load spread evenly?",
        "percentunit",
        Query(f"{series_for('server_kv_cache_utilization')}{selection()}", legend(ENGINE, INSTANCE, _RANK)),
        limits=((0.95, "red"),),
        top=1,
    )


def prefix() -> Panel:
    """Show the share of prompt tokens found in the prefix cache."""
    reported = f"avg by ({', '.join(_WHO)}) ({series_for('server_prefix_cache_hit_ratio')}{selection()})"
    return charts.lines(
        "Prefix cache hits",
        "Share of prompt tokens that were in the prefix cache: hits divided by look-ups over 5 minutes where an "
        "engine counts them, otherwise the share that the engine itself reports (SGLang, TensorRT-LLM), averaged "
        "over its replicas.",
        "percentunit",
        Query(f"{recorded_series('prefix_cache:hit_ratio5m')}{selection()}", f"counted {legend(*_WHO)}"),
        Query(reported, f"reported {legend(*_WHO)}"),
        top=1,
    )


def preemptions() -> Panel:
    """Show the requests that were evicted from a full cache."""
    thrown = f"rate({series_for('server_preemptions')}{selection()}[{INTERVAL}])"
    return charts.lines(
        "Preemptions",
        "Running requests per second that a replica evicted from its full cache, to restart them later: each is a "
        "long gap in somebody's answer. Only vLLM reports this.",
        "cps",
        Query(f"sum by ({ENGINE}, {INSTANCE}) ({thrown})", legend(ENGINE, INSTANCE)),
    )


# -- tokens --------------------------------------------------------------------------------------------------------


def prompt() -> Panel:
    """Show prompt tokens per second."""
    return charts.lines(
        "Prompt tokens per second",
        "Prompt tokens that engines processed per second, over 5 minutes, from their own counters.",
        "cps",
        Query(f"{recorded_series('prompt_tokens:rate5m')}{selection()}", legend(*_WHO)),
        stacked=True,
    )


def generated() -> Panel:
    """Show generated tokens per second."""
    return charts.lines(
        "Generated tokens per second",
        "Tokens that engines generated per second, over 5 minutes, from their own counters. One release of LMDeploy "
        "counts each token twice.",
        "cps",
        Query(f"{recorded_series('generation_tokens:rate5m')}{selection()}", legend(*_WHO)),
        stacked=True,
    )


# -- means ---------------------------------------------------------------------------------------------------------


def mean_duration() -> Panel:
    """Show the mean request duration."""
    return charts.lines(
        "Request duration (mean)",
        f"Total duration of requests divided by their number, over 5 minutes. {_SUCCEEDED} {_MEANS}",
        "s",
        Query(f"{recorded_series('request_duration:mean5m')}{selection()}", f"mean {legend(*_WHO)}"),
        links=slow_calls(DURATION),
    )


def mean_queue() -> Panel:
    """Show the mean time in the queue."""
    return charts.lines(
        "Time in the queue (mean)",
        f"Total waiting time of requests divided by their number, over 5 minutes. {_SUCCEEDED} {_MEANS}",
        "s",
        Query(f"{recorded_series('queue_duration:mean5m')}{selection()}", f"mean {legend(*_WHO)}"),
        links=slow_calls(QUEUE),
    )


def mean_prompt() -> Panel:
    """Show the mean time per prompt token."""
    return charts.lines(
        "Time per prompt token (mean)",
        f"Time spent on prompts divided by the number of prompt tokens. {_MEANS}",
        "s",
        Query(_mean("server_prompt_time", "server_prompt_tokens"), f"mean {legend(*_WHO)}"),
        links=slow_calls(TTFT, TTFT),
    )


def mean_token() -> Panel:
    """Show the mean time per generated token."""
    return charts.lines(
        "Time per generated token (mean)",
        f"Time spent on generating divided by the number of tokens generated. {_MEANS}",
        "s",
        Query(_mean("server_generation_time", "server_generation_tokens"), f"mean {legend(*_WHO)}"),
        links=slow_calls(TPOT),
    )


def _mean(time: str, of: str) -> str:
    by = ", ".join(_WHO)
    above, below = (f"sum by ({by}) (rate({series_for(key)}{selection()}[{INTERVAL}]))" for key in (time, of))
    return f"{above} / ({below} > 0)"
