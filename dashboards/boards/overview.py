"""Board 1: how fast answers are for those who wait for them, from any mix of engines and providers."""

from typing import Final

from otel_llm_collector.vocabulary.measures import DURATION, ITL, MEASURES, TTFT, WAITED_FOR, Measure
from otel_llm_dashboards.drawing import charts, variables
from otel_llm_dashboards.drawing.board import Board, Row
from otel_llm_dashboards.drawing.panel import Panel, Query
from otel_llm_dashboards.drawing.trace_links import slow_calls
from otel_llm_dashboards.panels import certainty, latency, spread, token_rates
from otel_llm_dashboards.queries.labels import ENGINE, ERROR, JOB, MODEL, VANTAGE, legend, selection
from otel_llm_dashboards.queries.recorded import clipped, percentile, recorded_series

__all__ = ["board"]

_HEADLINES: Final = (TTFT, ITL, DURATION)


def board() -> Board:
    """Return the board."""
    return Board(
        "overview",
        "LLM overview",
        "First token, gaps, requests, tokens and errors of any mix of engines, gateways and clients. "
        "Is it slow, for whom, and where does the tail come from?",
        rows=(
            Row("Right now", (*map(_now, _HEADLINES), requests_now(), errors_now(), clipped_now()), folded=False),
            Row("Percentiles, all sources together", [latency.percentiles(m) for m in WAITED_FOR], folded=False),
            *(Row(f"Where the tail of the {m.title} comes from", latency.tails(m)) for m in WAITED_FOR),
            Row(
                "How values are spread, and the traces of the worst",
                spread.heatmaps(spread.OF_TOKENS),
            ),
            Row("The same in chunks, from those who do not count tokens", spread.heatmaps(spread.OF_CHUNKS)),
            Row(
                "How sure the percentiles are",
                (*map(certainty.band, WAITED_FOR), certainty.width(), certainty.lower_bounds()),
            ),
            Row(
                "Tokens and throughput",
                (
                    token_rates.counted_by_clients(),
                    token_rates.counted_by_engines(),
                    token_rates.throughput(),
                    token_rates.calls_in_progress(),
                ),
            ),
            Row("Errors", (requests(), errors(), failing())),
            Row("Saturation", (waiting(), full())),
        ),
        variables=[
            *variables.data_sources(),
            *variables.scope(),
            *variables.slow_calls(variables.SENDERS, *WAITED_FOR),
            variables.quantile(),
            *(variables.bucket_edges(m) for m in (*spread.OF_TOKENS, *spread.OF_CHUNKS)),
        ],
        links=slow_calls(TTFT, TTFT),
    )


# -- right now -----------------------------------------------------------------------------------------------------


def _now(of: Measure) -> Panel:
    """Show the p99 of the last five minutes, by where it was measured."""
    return charts.number(
        f"p99 {of.title}",
        f"99th percentile of the {of.title} over 5 minutes, of everything chosen above, by where it was measured: "
        "client, gateway, frontend or engine. From all exponential and explicit histograms.",
        "s",
        Query(percentile("0.99", of, (VANTAGE,)), legend(VANTAGE)),
        width=8,
        links=slow_calls(of),
    )


def requests_now() -> Panel:
    """Show requests per second."""
    return charts.number(
        "Requests",
        "Requests that ended per second, failed ones included, by where they were counted. A request that both a "
        "client and an engine count is in both numbers.",
        "reqps",
        Query(f"sum by ({VANTAGE}) ({recorded_series('requests:rate5m')}{selection()})", legend(VANTAGE)),
        width=8,
    )


def errors_now() -> Panel:
    """Show the share of requests that failed."""
    every = f"{recorded_series('requests:rate5m')}{selection()}"
    failed = recorded_series("requests:rate5m") + selection(f'{ERROR}!=""')
    return charts.number(
        "Failed requests",
        "Share of requests that ended with an error over 5 minutes, by where they were counted. Orange from 1 %; red "
        "from 5 %, where the alert OtelLlmErrors starts.",
        "percentunit",
        Query(
            f"(sum by ({VANTAGE}) ({failed}) or 0 * sum by ({VANTAGE}) ({every})) / (sum by ({VANTAGE}) ({every}) > 0)",
            legend(VANTAGE),
        ),
        limits=((0.01, "orange"), (0.05, "red")),
        width=8,
    )


def clipped_now() -> Panel:
    """Show how many p99s are only lower bounds."""
    each = " or ".join(clipped(of, "0.99") for of in MEASURES)
    return charts.number(
        "Clipped p99",
        "How many 99th percentiles are above the last bucket edge of their source: the value shown is then only a "
        "lower bound. The row `How sure the percentiles are` shows which ones.",
        "none",
        Query(f"sum({each})"),
        limits=((1, "red"),),
        width=8,
    )


# -- errors, saturation --------------------------------------------------------------------------------------------


def requests() -> Panel:
    """Show requests per second by service."""
    return charts.lines(
        "Requests per second",
        "Requests that ended per second, failed ones included, by service and by where they were counted, over 5 "
        "minutes.",
        "reqps",
        Query(f"sum by ({JOB}, {VANTAGE}) ({recorded_series('requests:rate5m')}{selection()})", legend(JOB, VANTAGE)),
    )


def errors() -> Panel:
    """Show failed requests per second by kind of error."""
    failed = selection(f'{ERROR}!=""')
    return charts.lines(
        "Errors by kind",
        "Failed requests per second by error.type and service, over 5 minutes: an HTTP status such as 429, a broken "
        "stream, a timeout, or the engine's own name for the error.",
        "reqps",
        Query(f"sum by ({ERROR}, {JOB}) ({recorded_series('requests:rate5m')}{failed})", legend(ERROR, JOB)),
        stacked=True,
    )


def failing() -> Panel:
    """Show the share of requests that failed, by service and model."""
    return charts.lines(
        "Share of requests that failed",
        "Failed requests as a share of all requests, by service, model and place of measurement, over 5 minutes. The "
        "alert OtelLlmErrors starts at 5 %.",
        "percentunit",
        Query(f"{recorded_series('errors:ratio5m')}{selection()}", legend(JOB, MODEL, VANTAGE)),
        limits=((0.05, "red"),),
        width=24,
    )


def waiting() -> Panel:
    """Show the share of an engine's requests that are waiting."""
    return charts.lines(
        "Share of requests that wait",
        "Waiting requests as a share of waiting and running ones, by engine and model, from the engines' own gauges. "
        "Above 50 %, more requests wait than run: first tokens are late because of the queue, not because of the "
        "model.",
        "percentunit",
        Query(f"{recorded_series('requests_waiting:ratio')}{selection()}", legend(ENGINE, MODEL, JOB)),
        limits=((0.5, "red"),),
        top=1,
    )


def full() -> Panel:
    """Show how full the fullest key-value cache is."""
    return charts.lines(
        "Key-value cache in use",
        "Share of the key-value cache in use at the fullest replica, by engine and model. Near 100 %, engines make "
        "requests wait or preempt running ones. The board LLM engines shows every replica.",
        "percentunit",
        Query(f"{recorded_series('kv_cache:max')}{selection()}", legend(ENGINE, MODEL, JOB)),
        limits=((0.95, "red"),),
        top=1,
    )
