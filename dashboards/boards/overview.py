"""Board 1: how fast answers are for those who wait for them, from any mix of engines and providers."""

from typing import Final

from otel_llm import conventions
from otel_llm_collector.rule_sources.dimensions import FAMILY
from otel_llm_collector.vocabulary.measures import DURATION, ITL, MEASURES, TTFT, WAITED_FOR, Measure
from otel_llm_collector.vocabulary.prometheus_names import label_name, series_for, series_name
from otel_llm_dashboards.drawing import charts, variables
from otel_llm_dashboards.drawing.board import Board, Row
from otel_llm_dashboards.drawing.panel import Panel, Query
from otel_llm_dashboards.panels import certainty, latency
from otel_llm_dashboards.queries.labels import (
    ENGINE,
    ERROR,
    INTERVAL,
    JOB,
    MODEL,
    VANTAGE,
    legend,
    percentile_name,
    selection,
)
from otel_llm_dashboards.queries.raw import KINDS
from otel_llm_dashboards.queries.recorded import clipped, percentile, recorded_series

__all__ = ["board"]

_SPREAD: Final = (TTFT, ITL, DURATION)
_TOKEN_TYPE: Final = label_name(conventions.TOKEN_TYPE)


def board() -> Board:
    """Return the board."""
    return Board(
        "overview",
        "LLM overview",
        "First token, gaps, requests, tokens and errors of any mix of engines, gateways and clients. "
        "Is it slow, for whom, and where does the tail come from?",
        rows=(
            Row("Right now", (*map(_now, _SPREAD), requests_now(), errors_now(), clipped_now()), folded=False),
            Row("Percentiles, all sources together", [latency.percentiles(m) for m in WAITED_FOR], folded=False),
            *(Row(f"Where the tail of the {m.title} comes from", latency.tails(m)) for m in WAITED_FOR),
            Row(
                "How values are spread, and the traces of the worst",
                [latency.heatmap(m, k) for m in _SPREAD for k in KINDS],
            ),
            Row(
                "How sure the percentiles are",
                (*map(certainty.band, WAITED_FOR), certainty.width(), certainty.lower_bounds()),
            ),
            Row("Tokens and throughput", (client_tokens(), engine_tokens(), throughput(), active())),
            Row("Errors", (requests(), errors(), failing())),
            Row("Saturation", (waiting(), full())),
        ),
        variables=[
            *variables.data_sources(),
            *variables.scope(),
            variables.quantile(),
            *(variables.bucket_edges(m) for m in _SPREAD),
        ],
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


# -- tokens, errors, saturation ------------------------------------------------------------------------------------


def client_tokens() -> Panel:
    """Show tokens per second as clients count them."""
    usage, chosen, by = series_for("token_usage"), selection(), f"{MODEL}, {_TOKEN_TYPE}"
    native = f"sum by ({by}) (histogram_sum(rate({usage}{chosen}[{INTERVAL}])))"
    classic = f"sum by ({by}) (rate({usage}_sum{chosen}[{INTERVAL}]))"
    later = [
        f"label_replace(sum by ({MODEL}) (rate({series_name(found, found.latest)}{chosen}[{INTERVAL}])), "
        f'"{_TOKEN_TYPE}", "{kind}", "", "")'
        for kind, found in (
            ("input", conventions.instrument("usage_input_tokens")),
            ("output", conventions.instrument("usage_output_tokens")),
        )
    ]
    return charts.lines(
        "Tokens per second, counted by clients",
        "Input and output tokens per second by model, as the provider or a tokenizer counted them for each call: "
        "from the histogram of the published conventions, otherwise from the counters of the next version. Estimates "
        "from chunks are left out.",
        "cps",
        Query("\nor\n".join((native, classic, *later)), f"{legend(_TOKEN_TYPE, MODEL)}"),
        stacked=True,
    )


def engine_tokens() -> Panel:
    """Show tokens per second as engines count them."""
    return charts.lines(
        "Tokens per second, counted by engines",
        "Prompt and generated tokens per second by engine and model, from the engines' own counters over 5 minutes.",
        "cps",
        *(
            Query(
                f"sum by ({ENGINE}, {MODEL}) ({recorded_series(f'{kind}_tokens:rate5m')}{selection()})",
                f"{kind} {legend(ENGINE, MODEL)}",
            )
            for kind in ("prompt", "generation")
        ),
    )


def throughput() -> Panel:
    """Show the output tokens per second of single requests."""
    name, chosen = series_for("output_throughput"), selection()
    kinds = {
        "exponential": f"sum by ({MODEL}) (rate({name}{chosen}[{INTERVAL}]))",
        "explicit": f"sum by ({MODEL}, {FAMILY}, le) (rate({name}_bucket{chosen}[{INTERVAL}]))",
    }
    return charts.lines(
        "Output tokens per second of one request",
        "How fast single answers arrive, by model: half of the requests are faster than the p50, and only one in ten "
        "is slower than the p10. Output tokens divided by the duration of the whole call, measured at the client.",
        "cps",
        *(
            Query(f"histogram_quantile({q}, {histogram})", f"{percentile_name(q)} {legend(MODEL)} · {kind}")
            for q in ("0.5", "0.1")
            for kind, histogram in kinds.items()
        ),
    )


def active() -> Panel:
    """Show the calls in progress."""
    return charts.lines(
        "Calls in progress",
        "Model calls that have started and not yet ended, by service and model, as instrumented clients count them.",
        "none",
        Query(f"sum by ({JOB}, {MODEL}) ({series_for('active_requests')}{selection()})", legend(JOB, MODEL)),
        stacked=True,
    )


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
