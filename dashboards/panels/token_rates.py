"""Panels of tokens and calls: how many tokens per second, how fast a single answer is, and calls in progress."""

from typing import Final

from otel_llm import conventions
from otel_llm_collector.rule_sources.dimensions import FAMILY
from otel_llm_collector.vocabulary.prometheus_names import label_name, series_for
from otel_llm_dashboards.drawing import charts
from otel_llm_dashboards.drawing.panel import Panel, Query
from otel_llm_dashboards.queries.labels import ENGINE, INTERVAL, JOB, MODEL, legend, percentile_name, selection
from otel_llm_dashboards.queries.recorded import recorded_series

__all__ = ["calls_in_progress", "counted_by_clients", "counted_by_engines", "throughput"]

_TOKEN_TYPE: Final = label_name(conventions.TOKEN_TYPE)


def counted_by_clients() -> Panel:
    """Show tokens per second as clients count them."""
    usage, chosen, by = series_for("token_usage"), selection(), f"{MODEL}, {_TOKEN_TYPE}"
    native = f"sum by ({by}) (histogram_sum(rate({usage}{chosen}[{INTERVAL}])))"
    classic = f"sum by ({by}) (rate({usage}_sum{chosen}[{INTERVAL}]))"
    read, made, embedded = map(series_for, ("usage_input_tokens", "usage_output_tokens", "embeddings_input_tokens"))
    read, made, embedded_native = (f"rate({name}{chosen}[{INTERVAL}])" for name in (read, made, embedded))
    embedded = f"rate({embedded}_sum{chosen}[{INTERVAL}]) or histogram_sum({embedded_native})"
    later = [
        f'label_replace(sum by ({MODEL}) ({tokens}), "{_TOKEN_TYPE}", "{kind}", "", "")'
        for kind, tokens in (("input", f"{read} or {embedded}"), ("output", made))
    ]
    return charts.lines(
        "Tokens per second, counted by clients",
        "Input and output tokens per second by model, as the provider or a tokenizer counted them for each call: "
        "from the histogram of the published conventions, otherwise from the counters of the next version, and of "
        "embeddings from its histogram. Estimates from chunks are left out.",
        "cps",
        Query("\nor\n".join((native, classic, *later)), f"{legend(_TOKEN_TYPE, MODEL)}"),
        stacked=True,
    )


def counted_by_engines() -> Panel:
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


def calls_in_progress() -> Panel:
    """Show the calls in progress."""
    return charts.lines(
        "Calls in progress",
        "Model calls that have started and not yet ended, by service and model, as instrumented clients count them.",
        "none",
        Query(f"sum by ({JOB}, {MODEL}) ({series_for('active_requests')}{selection()})", legend(JOB, MODEL)),
        stacked=True,
    )
