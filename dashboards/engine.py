"""Board 2: what engines, gateways and frontends say of themselves: how full they are, and what that does to latency."""

from typing import Final

from otel_llm import conventions
from otel_llm_collector.series import label
from otel_llm_collector.table import engines
from otel_llm_dashboards import latency, load, panels, variables
from otel_llm_dashboards.board import Board, Row
from otel_llm_dashboards.latency import SHOWN
from otel_llm_dashboards.load import AN_ENGINE, REPLICA
from otel_llm_dashboards.panels import Panel, Query
from otel_llm_dashboards.queries import ENGINE, ERROR, INTERVAL, JOB, MODEL, VANTAGE, legend, raw_series, where
from otel_llm_dashboards.recorded import recorded

__all__ = ["board"]

_FINISH: Final = label(conventions.FINISH_REASON)
_SEEN_BY: Final = (ENGINE, MODEL, VANTAGE)


def board() -> Board:
    """Return the board."""
    return Board(
        "engine",
        "LLM engines",
        "What inference engines, gateways and frontends say of themselves: queue, running requests, caches, tokens. "
        "Is an engine too full, and which replica?",
        rows=(
            Row(
                "Right now",
                (running_now(), waiting_now(), cache_now(), tokens_now(), lost_now(), up_now()),
                folded=False,
            ),
            Row(
                "Load and queue",
                (
                    load.running(),
                    load.waiting(),
                    load.share(),
                    load.queue("0.5"),
                    load.queue("0.99"),
                    load.queue_seen(),
                ),
                folded=False,
            ),
            Row("Caches", (load.cache(), load.replicas(), load.prefix(), load.preemptions()), folded=False),
            Row("Tokens", (load.prompt(), load.generated())),
            Row(
                "Latency as engines see it",
                [latency.by(m, "engine and model", _SEEN_BY, AN_ENGINE) for m in SHOWN],
            ),
            Row(
                "Means of engines that have no percentiles",
                (load.mean_duration(), load.mean_queue(), load.mean_prompt(), load.mean_token()),
            ),
            Row("How requests ended", (finished(), failed())),
            Row("Scrapes", (answering(), slow_scrapes())),
        ),
        variables=[*variables.sources(), *variables.chosen(), variables.quantile()],
    )


# -- right now -----------------------------------------------------------------------------------------------------


def running_now() -> Panel:
    """Requests that engines work on."""
    return panels.number(
        "Running",
        "Requests that engines work on, all replicas together, from their own gauges.",
        "none",
        Query(f"sum({recorded('requests_running:sum')}{where()})"),
    )


def waiting_now() -> Panel:
    """Requests that wait in engines."""
    return panels.number(
        "Waiting",
        "Requests that wait in engines, all replicas together, from their own gauges.",
        "none",
        Query(f"sum({recorded('requests_waiting:sum')}{where()})"),
        limits=((1, "orange"),),
    )


def cache_now() -> Panel:
    """How full the fullest cache is."""
    return panels.number(
        "Fullest cache",
        "Share of the key-value cache in use at the fullest replica. Red from 95 %, where the alert OtelLlmSaturated "
        "begins.",
        "percentunit",
        Query(f"max({recorded('kv_cache:max')}{where()})"),
        limits=((0.8, "orange"), (0.95, "red")),
    )


def tokens_now() -> Panel:
    """Tokens generated per second."""
    return panels.number(
        "Generated tokens",
        "Tokens that engines generated per second, over 5 minutes, from their own counters.",
        "cps",
        Query(f"sum({recorded('generation_tokens:rate5m')}{where()})"),
    )


def lost_now() -> Panel:
    """Requests thrown out of the cache."""
    return panels.number(
        "Preempted",
        "Running requests per second that an engine threw out of its full cache, to begin them again later. vLLM alone "
        "tells.",
        "cps",
        Query(f"sum(rate({raw_series('server_preemptions')}{where()}[{INTERVAL}]))"),
        limits=((0.01, "red"),),
    )


def up_now() -> Panel:
    """How many targets do not answer."""
    return panels.number(
        "Not answering",
        "Targets of engines that the Collector cannot scrape: their percentiles are missing, not good.",
        "none",
        Query(f"count({_up()} == 0) or 0 * count({_up()})"),
        limits=((1, "red"),),
    )


# -- how requests ended, scrapes -----------------------------------------------------------------------------------


def finished() -> Panel:
    """Requests per second by why they ended."""
    ended = f"rate({raw_series('server_requests')}{where()}[{INTERVAL}])"
    return panels.lines(
        "Requests by finish reason",
        "Requests per second that engines ended, by their reason: stop, length (the limit was reached), abort. Engines "
        "that give no reason have an empty one.",
        "reqps",
        Query(f"sum by ({ENGINE}, {_FINISH}) ({ended})", legend(ENGINE, _FINISH)),
        stacked=True,
    )


def failed() -> Panel:
    """Failed requests per second, as engines count them."""
    of_engines = where(f'{ERROR}!=""', AN_ENGINE)
    return panels.lines(
        "Failed requests",
        "Requests per second that engines count as failed, aborted or refused, by kind, over 5 minutes.",
        "reqps",
        Query(f"sum by ({ENGINE}, {ERROR}) ({recorded('requests:rate5m')}{of_engines})", legend(ENGINE, ERROR)),
        stacked=True,
    )


def answering() -> Panel:
    """Which targets answer."""
    return panels.states(
        "Targets that answer",
        "Whether the Collector could scrape each target of an engine. A target that is down is missing from all "
        "percentiles.",
        Query(_up(), legend(JOB, REPLICA)),
        words={"0": ("does not answer", "red"), "1": ("answers", "green")},
    )


def slow_scrapes() -> Panel:
    """How long scrapes take."""
    return panels.lines(
        "Scrape duration",
        "How long each scrape of an engine took. Slow ones: its web server starves, or it has too many series.",
        "s",
        Query(f"scrape_duration_seconds{_engine_jobs()}", legend(JOB, REPLICA)),
    )


def _up() -> str:
    return f"up{_engine_jobs()}"


def _engine_jobs() -> str:
    names = "|".join(table.name for table in engines())
    return f'{{{JOB}=~"$job", {JOB}=~"{names}"}}'
