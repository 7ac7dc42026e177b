"""Board 2: what engines, gateways and frontends report: how full they are, and what that does to latency."""

from typing import Final

from otel_llm import conventions
from otel_llm_collector.engine_tables.table import engine_tables
from otel_llm_collector.vocabulary.measures import DECODE, DURATION, PREFILL, TTFT, WAITED_FOR
from otel_llm_collector.vocabulary.prometheus_names import label_name, series_for
from otel_llm_dashboards.drawing import charts, variables
from otel_llm_dashboards.drawing.board import Board, Row
from otel_llm_dashboards.drawing.panel import Panel, Query
from otel_llm_dashboards.drawing.trace_links import slow_calls
from otel_llm_dashboards.panels import engine_load, gpus, latency, phases, replicas
from otel_llm_dashboards.queries.labels import (
    ENGINE,
    ERROR,
    HAS_ENGINE,
    INSTANCE,
    INTERVAL,
    JOB,
    MODEL,
    VANTAGE,
    legend,
    selection,
)
from otel_llm_dashboards.queries.recorded import recorded_series

__all__ = ["board"]

_FINISH: Final = label_name(conventions.FINISH_REASON)
_SEEN_BY: Final = (ENGINE, MODEL, VANTAGE)


def board() -> Board:
    """Return the board."""
    return Board(
        "engine",
        "LLM engines",
        "What inference engines, gateways and frontends report about themselves: queue, running requests, caches, "
        "tokens. Is an engine overloaded, and which replica?",
        rows=(*_when_called(), *_in_depth()),
        variables=[
            *variables.data_sources(),
            *variables.scope(),
            *variables.slow_calls(variables.SENDERS, TTFT, DURATION),
            variables.quantile(),
        ],
        links=slow_calls(TTFT, TTFT),
    )


def _when_called() -> tuple[Row, ...]:
    """Return the rows that whoever is on call reads first: they are open."""
    return (
        Row(
            "Right now",
            (running_now(), waiting_now(), cache_now(), tokens_now(), lost_now(), up_now()),
            folded=False,
        ),
        Row(
            "Load and queue",
            (
                engine_load.running(),
                engine_load.waiting(),
                engine_load.share(),
                engine_load.queue("0.5"),
                engine_load.queue("0.99"),
            ),
            folded=False,
        ),
        Row(
            "Queue, prefill or decode",
            (
                phases.parts(),
                engine_load.queue_seen(),
                phases.phase(PREFILL, "from when a request first ran to its first token."),
                phases.phase(DECODE, "from a request's first token to its last."),
            ),
            folded=False,
        ),
        Row(
            "Which replica",
            (
                replicas.first_token(),
                replicas.gaps(),
                replicas.load(),
                engine_load.replicas(),
                replicas.failures(),
                replicas.restarts(),
            ),
            folded=False,
        ),
        Row("How requests ended", (finished(), failed()), folded=False),
    )


def _in_depth() -> tuple[Row, ...]:
    """Return the rows that explain what the first ones show: they are folded."""
    return (
        Row("Caches", (engine_load.cache(), engine_load.prefix(), engine_load.preemptions(), phases.cached())),
        Row(
            "Tokens",
            (
                engine_load.prompt(),
                engine_load.generated(),
                phases.lengths("server_request_prompt_tokens", "Prompt tokens"),
                phases.lengths("server_request_generation_tokens", "Generated tokens"),
            ),
        ),
        Row("GPUs", (gpus.utilization(), gpus.memory(), gpus.power(), gpus.temperature(), gpus.energy())),
        Row("Speculative decoding", (phases.accepted(), phases.step_length())),
        Row(
            "Prefill and decode in engines of their own",
            (phases.roles(), phases.transfers(), phases.transfer_failures()),
        ),
        Row(
            "Latency as engines see it",
            [latency.breakdown(m, "engine and model", _SEEN_BY, HAS_ENGINE) for m in WAITED_FOR],
        ),
        Row(
            "Means of engines that have no percentiles",
            (
                engine_load.mean_duration(),
                engine_load.mean_queue(),
                engine_load.mean_prompt(),
                engine_load.mean_token(),
            ),
        ),
        Row("Scrapes", (answering(), slow_scrapes())),
    )


# -- right now -----------------------------------------------------------------------------------------------------


def running_now() -> Panel:
    """Show how many requests engines are working on."""
    return charts.number(
        "Running",
        "Requests that engines are working on, all replicas together, from their own gauges.",
        "none",
        Query(f"sum({recorded_series('requests_running:sum')}{selection()})"),
    )


def waiting_now() -> Panel:
    """Show how many requests are waiting in engines."""
    return charts.number(
        "Waiting",
        "Requests that are waiting in engines, all replicas together, from their own gauges.",
        "none",
        Query(f"sum({recorded_series('requests_waiting:sum')}{selection()})"),
        limits=((1, "orange"),),
    )


def cache_now() -> Panel:
    """Show how full the fullest cache is."""
    return charts.number(
        "Fullest cache",
        "Share of the key-value cache in use at the fullest replica. Red from 95 %, where the alert OtelLlmSaturated "
        "starts.",
        "percentunit",
        Query(f"max({recorded_series('kv_cache:max')}{selection()})"),
        limits=((0.8, "orange"), (0.95, "red")),
    )


def tokens_now() -> Panel:
    """Show the tokens generated per second."""
    return charts.number(
        "Generated tokens",
        "Tokens that engines generated per second, over 5 minutes, from their own counters.",
        "cps",
        Query(f"sum({recorded_series('generation_tokens:rate5m')}{selection()})"),
    )


def lost_now() -> Panel:
    """Show the requests that were evicted from a full cache."""
    return charts.number(
        "Preempted",
        "Running requests per second that engines evicted from a full cache, to restart them later. Only vLLM "
        "reports this.",
        "cps",
        Query(f"sum(rate({series_for('server_preemptions')}{selection()}[{INTERVAL}]))"),
        limits=((0.01, "red"),),
    )


def up_now() -> Panel:
    """Show how many engine targets do not answer."""
    return charts.number(
        "Not answering",
        "Engine targets that the Collector cannot scrape. Their percentiles are missing, which does not mean that "
        "they are good.",
        "none",
        Query(f"count({_up()} == 0) or 0 * count({_up()})"),
        limits=((1, "red"),),
    )


# -- how requests ended, scrapes -----------------------------------------------------------------------------------


def finished() -> Panel:
    """Show requests per second by the reason why they ended."""
    ended = f"rate({series_for('server_requests')}{selection()}[{INTERVAL}])"
    return charts.lines(
        "Requests by finish reason",
        "Requests that engines finished per second, by finish reason: stop, length (the limit was reached), error. "
        "The reason is empty for engines that give none. vLLM never counts requests that their client left.",
        "reqps",
        Query(f"sum by ({ENGINE}, {_FINISH}) ({ended})", legend(ENGINE, _FINISH)),
        stacked=True,
    )


def failed() -> Panel:
    """Show failed requests per second, as engines count them."""
    of_engines = selection(f'{ERROR}!=""', HAS_ENGINE)
    return charts.lines(
        "Failed requests",
        "Requests per second that engines and gateways count as failed or refused, by error.type, over 5 minutes: the "
        "engine's own name for the error, or an HTTP status. docs/engines.md says which of them count what. llama.cpp "
        "counts none.",
        "reqps",
        Query(f"sum by ({ENGINE}, {ERROR}) ({recorded_series('requests:rate5m')}{of_engines})", legend(ENGINE, ERROR)),
        stacked=True,
    )


def answering() -> Panel:
    """Show which engine targets answer."""
    return charts.states(
        "Targets that answer",
        "Whether the Collector could scrape each engine target. A target that is down is missing from all percentiles.",
        Query(_up(), legend(JOB, INSTANCE)),
        words={"0": ("does not answer", "red"), "1": ("answers", "green")},
    )


def slow_scrapes() -> Panel:
    """Show how long scrapes take."""
    return charts.lines(
        "Scrape duration",
        "How long each scrape of an engine took. A slow scrape means that the engine's web server is short of CPU "
        "time, or that the engine exposes too many series.",
        "s",
        Query(f"scrape_duration_seconds{_engine_jobs()}", legend(JOB, INSTANCE)),
    )


def _up() -> str:
    return f"up{_engine_jobs()}"


def _engine_jobs() -> str:
    names = "|".join(table.name for table in engine_tables())
    return f'{{{JOB}=~"$job", {JOB}=~"{names}"}}'
