"""Panels that show how values are spread over time, with dots that lead to the traces of the worst.

Prometheus gives the exemplars of every series that a query names, also of those that `or` and `unless` leave out. So a
heatmap names one kind of value alone: gaps between tokens are on one panel, gaps between chunks on another.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from otel_llm_collector.rule_sources.dimensions import FAMILY, SUCCEEDED
from otel_llm_collector.vocabulary.measures import DURATION, ITL, TTFT, Measure
from otel_llm_dashboards.drawing import charts
from otel_llm_dashboards.drawing.panel import Panel, Query
from otel_llm_dashboards.drawing.trace_links import slow_calls
from otel_llm_dashboards.queries.labels import RUN, selection
from otel_llm_dashboards.queries.raw import KINDS, raw_histogram
from otel_llm_dashboards.queries.run_totals import A, B

__all__ = ["OF_CHUNKS", "OF_TOKENS", "heatmaps", "run_heatmaps"]

_FIRST_CHUNK, _CHUNK_GAP = "time_to_first_chunk", "time_per_output_chunk"
_CHUNKS: Final = {_FIRST_CHUNK, _CHUNK_GAP}


def _in_tokens(of: Measure) -> Measure:
    return replace(of, instruments=tuple(key for key in of.instruments if key not in _CHUNKS))


OF_TOKENS: Final = tuple(map(_in_tokens, (TTFT, ITL, DURATION)))
"""The latencies of tokens and requests, without those of chunks that stand in for them elsewhere."""
OF_CHUNKS: Final = (
    Measure(_FIRST_CHUNK, "time to first chunk", (_FIRST_CHUNK,), TTFT.bounds),
    Measure(_CHUNK_GAP, "time between chunks", (_CHUNK_GAP,), ITL.bounds),
)
"""What instrumentations measure that do not count tokens: a chunk may hold none, such as a role, or several."""
_PROMISED: Final = {_FIRST_CHUNK: TTFT, _CHUNK_GAP: ITL}
"""Whose promise measures have that have none of their own."""
_RUNS: Final = {"A": A, "B": B}


def heatmaps(measures: Sequence[Measure]) -> list[Panel]:
    """Return two heatmaps of each measure, one for each kind of histogram."""
    return [_heatmap(of, kind) for of in measures for kind in KINDS]


def run_heatmaps() -> list[Panel]:
    """Return the heatmaps of runs A and B. The load generator counts tokens."""
    return [_run_heatmap(of, run, kind) for of in OF_TOKENS for kind in KINDS for run in _RUNS]


def _heatmap(of: Measure, kind: str) -> Panel:
    explicit = kind == "explicit"
    edges = (f'{FAMILY}="${of.name}_edges"',) if explicit else ()
    which = (
        "Explicit histograms of one family of edges (chosen at `Edges`): buckets with different edges do not add up."
        if explicit
        else "Exponential histograms."
    )
    return charts.heatmap(
        f"{of.heading}, {kind} histograms",
        f"Values per second by {of.title}, of everything chosen above. {which} Choose one place of measurement; "
        "otherwise what both client and engine measured counts twice. The dots are exemplars, and each is a value of "
        "this panel: click one to open its trace in Jaeger or Tempo, if the data source is set up for it.",
        "s",
        Query(raw_histogram(of, kind, _le(kind), selection(SUCCEEDED, *edges)), "{{le}}", exemplars=True),
        links=slow_calls(of, _PROMISED.get(of.name, of)),
    )


def _run_heatmap(of: Measure, run: str, kind: str) -> Panel:
    return charts.heatmap(
        f"{of.heading} of run {run}, {kind} histograms",
        f"Values per second by {of.title}, of run {run}, measured by the load generator. A run has one kind of "
        "histogram: the other panel stays empty. The dots are exemplars: click one to open its trace in Jaeger or "
        "Tempo, if the data source is set up for it.",
        "s",
        Query(raw_histogram(of, kind, _le(kind), f'{RUN}="{_RUNS[run]}", {SUCCEEDED}'), "{{le}}", exemplars=True),
        links=slow_calls(of, _PROMISED.get(of.name, of)),
    )


def _le(kind: str) -> tuple[str, ...]:
    return ("le",) if kind == "explicit" else ()
