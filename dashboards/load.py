"""Panels of engines: load, caches, tokens, and means where there is nothing better."""

from typing import Final

from otel_llm import conventions
from otel_llm_collector.series import label
from otel_llm_dashboards import latency, panels, queries
from otel_llm_dashboards.latency import QUEUE
from otel_llm_dashboards.panels import Panel, Query
from otel_llm_dashboards.queries import ENGINE, INTERVAL, JOB, MODEL, legend, raw_series, where
from otel_llm_dashboards.recorded import recorded

__all__ = [
    "AN_ENGINE",
    "REPLICA",
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

AN_ENGINE: Final = f'{ENGINE}!=""'
REPLICA: Final = "instance"
_WHO: Final = (ENGINE, MODEL, JOB)
_RANK: Final = label(conventions.ENGINE_RANK)
_MEANS: Final = "Triton and llama.cpp give totals and no histogram: this is a mean, never a percentile."


# -- load and queue ------------------------------------------------------------------------------------------------


def running() -> Panel:
    """Requests that engines work on."""
    return panels.lines(
        "Running requests",
        "Requests that engines work on, all replicas of a job together, from their own gauges.",
        "none",
        Query(f"{recorded('requests_running:sum')}{where()}", legend(*_WHO)),
    )


def waiting() -> Panel:
    """Requests that wait in engines."""
    return panels.lines(
        "Waiting requests",
        "Requests that wait in engines, all replicas of a job together, from their own gauges. Dynamo counts those in "
        "prefill as waiting.",
        "none",
        Query(f"{recorded('requests_waiting:sum')}{where()}", legend(*_WHO)),
    )


def share() -> Panel:
    """Share of requests in an engine that wait."""
    return panels.lines(
        "Share of requests that wait",
        "Waiting requests over waiting and running ones. Above one half, the alert OtelLlmSaturated begins.",
        "percentunit",
        Query(f"{recorded('requests_waiting:ratio')}{where()}", legend(*_WHO)),
        limits=((0.5, "red"),),
        top=1,
    )


def queue(q: str) -> Panel:
    """A percentile of the time in the queue."""
    return panels.lines(
        f"Time in the queue, p{float(q) * 100:g}",
        "How long requests waited in the engine before they ran, over 5 minutes, from the engines' histograms read off "
        "at the common grid.",
        "s",
        Query(queries.percentile(q, QUEUE, _WHO), legend(*_WHO)),
    )


def queue_seen() -> Panel:
    """How much of a late first token is the queue."""
    first = latency.TTFT
    return panels.lines(
        "First token and queue, p50",
        "The median time to first token of engines, and below it the median time in their queue: the rest is prefill "
        "and what the model needs for one token. Percentiles do not add up; the median comes nearest to it.",
        "s",
        Query(queries.percentile("0.5", first, (ENGINE, MODEL), AN_ENGINE), f"first token {legend(ENGINE, MODEL)}"),
        Query(queries.percentile("0.5", QUEUE, (ENGINE, MODEL)), f"queue {legend(ENGINE, MODEL)}"),
    )


# -- caches --------------------------------------------------------------------------------------------------------


def cache() -> Panel:
    """How full the key-value caches are."""
    return panels.lines(
        "Key-value cache in use",
        "Share of the key-value cache in use over the replicas of a job: the fullest, and the mean. Shares are never "
        "added up.",
        "percentunit",
        Query(f"{recorded('kv_cache:max')}{where()}", f"fullest {legend(*_WHO)}"),
        Query(f"{recorded('kv_cache:avg')}{where()}", f"mean {legend(*_WHO)}"),
        limits=((0.95, "red"),),
        styles={"mean .*": panels.DASHED},
        top=1,
    )


def replicas() -> Panel:
    """How full each replica's cache is."""
    return panels.lines(
        "Key-value cache by replica",
        "Share of the key-value cache in use at each replica and rank, from its own gauge: is the load spread evenly?",
        "percentunit",
        Query(f"{raw_series('server_kv_cache_utilization')}{where()}", legend(ENGINE, REPLICA, _RANK)),
        limits=((0.95, "red"),),
        top=1,
    )


def prefix() -> Panel:
    """Share of prompt tokens found in the cache."""
    told = f"avg by ({', '.join(_WHO)}) ({raw_series('server_prefix_cache_hit_ratio')}{where()})"
    return panels.lines(
        "Prefix cache hits",
        "Share of prompt tokens that were in the prefix cache: hits over look-ups of 5 minutes where an engine counts "
        "them, else the share that it tells (SGLang, TensorRT-LLM), as the mean of its replicas.",
        "percentunit",
        Query(f"{recorded('prefix_cache:hit_ratio5m')}{where()}", f"counted {legend(*_WHO)}"),
        Query(told, f"told {legend(*_WHO)}"),
        top=1,
    )


def preemptions() -> Panel:
    """Requests thrown out of the cache."""
    thrown = f"rate({raw_series('server_preemptions')}{where()}[{INTERVAL}])"
    return panels.lines(
        "Preemptions",
        "Running requests per second that a replica threw out of its full cache, to begin them again later: each is a "
        "long gap in somebody's answer. vLLM alone tells.",
        "cps",
        Query(f"sum by ({ENGINE}, {REPLICA}) ({thrown})", legend(ENGINE, REPLICA)),
    )


# -- tokens --------------------------------------------------------------------------------------------------------


def prompt() -> Panel:
    """Prompt tokens per second."""
    return panels.lines(
        "Prompt tokens per second",
        "Prompt tokens that engines processed per second, over 5 minutes, from their own counters.",
        "cps",
        Query(f"{recorded('prompt_tokens:rate5m')}{where()}", legend(*_WHO)),
        stacked=True,
    )


def generated() -> Panel:
    """Generated tokens per second."""
    return panels.lines(
        "Generated tokens per second",
        "Tokens that engines generated per second, over 5 minutes, from their own counters. One release of LMDeploy "
        "counts each twice.",
        "cps",
        Query(f"{recorded('generation_tokens:rate5m')}{where()}", legend(*_WHO)),
        stacked=True,
    )


# -- means ---------------------------------------------------------------------------------------------------------


def mean_duration() -> Panel:
    """Mean request duration."""
    return panels.lines(
        "Request duration (mean)",
        f"Time of all requests over their number, over 5 minutes. {_MEANS}",
        "s",
        Query(f"{recorded('request_duration:mean5m')}{where()}", f"mean {legend(*_WHO)}"),
    )


def mean_queue() -> Panel:
    """Mean time in the queue."""
    return panels.lines(
        "Time in the queue (mean)",
        f"Time that all requests waited over their number, over 5 minutes. {_MEANS}",
        "s",
        Query(f"{recorded('queue_duration:mean5m')}{where()}", f"mean {legend(*_WHO)}"),
    )


def mean_prompt() -> Panel:
    """Mean time per prompt token."""
    return panels.lines(
        "Time per prompt token (mean)",
        f"Time spent on prompts over their tokens. {_MEANS}",
        "s",
        Query(_mean("server_prompt_time", "server_prompt_tokens"), f"mean {legend(*_WHO)}"),
    )


def mean_token() -> Panel:
    """Mean time per generated token."""
    return panels.lines(
        "Time per generated token (mean)",
        f"Time spent on generating over the tokens generated. {_MEANS}",
        "s",
        Query(_mean("server_generation_time", "server_generation_tokens"), f"mean {legend(*_WHO)}"),
    )


def _mean(time: str, of: str) -> str:
    by = ", ".join(_WHO)
    above, below = (f"sum by ({by}) (rate({raw_series(key)}{where()}[{INTERVAL}]))" for key in (time, of))
    return f"{above} / ({below} > 0)"
