"""Panels that show how certain a percentile is."""

from otel_llm_collector.rule_sources.dimensions import FAMILY
from otel_llm_collector.vocabulary.measures import MEASURES, WAITED_FOR, Measure
from otel_llm_dashboards.drawing import charts
from otel_llm_dashboards.drawing.panel import Panel, Query
from otel_llm_dashboards.drawing.trace_links import slow_calls
from otel_llm_dashboards.queries.labels import JOB, MODEL, QUANTILE, VANTAGE, legend, selection
from otel_llm_dashboards.queries.recorded import below, clipped, edge_around, recorded_series

__all__ = ["band", "lower_bounds", "width"]


def band(of: Measure) -> Panel:
    """Show the chosen percentile between the edges of the bucket that it falls in."""
    by, at = (JOB, MODEL, FAMILY), f'quantile="{QUANTILE}"'
    shown = recorded_series(f"{of.name}:quantile5m") + selection(at, 'histogram="explicit"')
    edges = [Query(edge_around(side, of, QUANTILE), f"{side} {legend(*by)}") for side in ("upper", "lower")]
    return charts.lines(
        f"{of.heading}: where the truth is",
        f"The chosen percentile of the {of.title} from each explicit histogram, and as dashed lines the edges of the "
        "bucket that it falls in: the true value is between them. Exponential histograms need no band: their "
        "buckets are only 4 to 9 % wide.",
        "s",
        Query(shown, legend(*by)),
        *edges,
        styles={"(upper|lower).*": charts.DASHED},
        logarithmic=True,
        links=slow_calls(of),
    )


def width() -> Panel:
    """Show how wide the bucket of a percentile is, relative to its lower edge."""
    by = f"{MODEL}, {VANTAGE}"
    shown = []
    for of in WAITED_FOR:
        upper, lower = (edge_around(side, of, QUANTILE) for side in ("upper", "lower"))
        # the lower edge of the first bucket is 0, and comes out as a billionth of the upper one
        expr = f"max by ({by}) (({upper} - {lower}) / ({lower} > 1e-6))"
        shown.append(Query(expr, f"{of.title} {legend(MODEL, VANTAGE)}"))
    return charts.lines(
        "Uncertainty of the percentiles",
        "How much larger than the lower edge of its bucket the chosen percentile can be, for the least certain of "
        "all sources. 100 %: it may be twice the lower edge. `otel-llm collector buckets` prints finer edges for an "
        "engine.",
        "percentunit",
        *shown,
        limits=((0.5, "orange"), (1, "red")),
    )


def lower_bounds() -> Panel:
    """Show which percentiles are only lower bounds, and since when."""
    return charts.states(
        "Clipped percentiles",
        "Whether the chosen percentile of a source is above its last bucket edge, where the value shown is only a "
        "lower bound, or below its first one, where it is only an upper bound. Finer or higher edges, or exponential "
        "histograms, fix this.",
        *(
            Query(f"({clipped(of, QUANTILE)}) + 2 * ({below(of, QUANTILE)})", f"{of.title} {legend(JOB, MODEL)}")
            for of in MEASURES
        ),
        words={
            "0": ("within its edges", "green"),
            "1": ("clipped: a lower bound", "red"),
            "2": ("below the first edge: an upper bound", "orange"),
        },
    )
