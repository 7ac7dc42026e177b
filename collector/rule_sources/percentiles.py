"""Recording rules for percentiles that are right: per bucket family, across all families, and client minus server.

Adding up `_bucket` series of engines with different edges gives no histogram at all. So exponential histograms are
added up directly, explicit ones only within their family, and everything together only once each family has been
read at the edges of one common grid.
"""

import itertools
from collections.abc import Iterator
from typing import Final

from otel_llm_collector.rule_sources.dimensions import BY, FAMILY, MODEL, QUANTILES, SUCCEEDED, TRAFFIC, VANTAGE
from otel_llm_collector.rule_sources.grid import grid_edges, known_families, log_spread_edge
from otel_llm_collector.rule_sources.rule import Rule
from otel_llm_collector.vocabulary.measures import Measure
from otel_llm_collector.vocabulary.prometheus_names import series_for

__all__ = ["client_minus_server_rules", "family_rules", "first_source_rates", "union_rules"]

WINDOW: Final = "5m"
_SAME_SERVICE: Final = f"job, {MODEL}, {VANTAGE}"
_FIRST: Final = "1e-6"
"""Seconds: no engine's second edge is that low, so a lower edge that is belongs to the first bucket."""


def family_rules(measure: Measure) -> Iterator[Rule]:
    """Yield rates, percentiles and the edges around them, for each kind of histogram and each family of edges."""
    native, explicit = f"otel_llm:{measure.name}:rate5m", f"otel_llm:{measure.name}:bucket_rate5m"
    yield Rule(native, first_source_rates(measure, "", BY))
    yield Rule(explicit, first_source_rates(measure, "_bucket", f"{BY}, {FAMILY}, le"))
    for q in QUANTILES:
        for kind, histogram in (("exponential", native), ("explicit", explicit)):
            yield Rule(
                f"otel_llm:{measure.name}:quantile5m",
                f"histogram_quantile({q}, {histogram})",
                {"quantile": q, "histogram": kind},
            )
        yield from _edges(measure.name, explicit, q)


def first_source_rates(measure: Measure, suffix: str, by: str, window: str = WINDOW, matchers: str = SUCCEEDED) -> str:
    """Return the sum of the rates of a measure, taken for each service from the first source that it has."""
    terms: list[str] = []
    before: list[str] = []
    for source in measure.sources():
        rate = f"rate({source}{suffix}{{{matchers}}}[{window}])"
        if source == series_for("server_time_to_first_token"):
            rate = f"{rate} {_unless_embeddings(matchers)}"
        term = f"sum by ({by}) ({rate})"
        if before:
            known = "|".join(f"{name}{suffix}" for name in before)
            beside = "" if matchers == SUCCEEDED else f", {matchers}"
            term = f'({term} unless on ({_SAME_SERVICE}) {{__name__=~"{known}"{beside}}})'
        terms.append(term)
        before.append(source)
    return "\nor\n".join(terms)


def _unless_embeddings(matchers: str) -> str:
    """Return what leaves out engines that never made a token: they made embeddings, and filled this histogram too."""
    tokens = series_for("server_generation_tokens")
    of_job = [matcher for matcher in matchers.split(", ") if matcher.startswith("job")]
    return f"unless on (job, instance, {MODEL}) {tokens}{{{''.join(of_job)}}} == 0"


def _edges(name: str, explicit: str, q: str) -> Iterator[Rule]:
    """Yield the edges of the bucket that a percentile falls in, and whether it is the last or the first one.

    Cut off above the rank, the histogram has its 100th percentile at the upper edge. What is left above the rank
    begins at the lower edge: that is its 0th percentile.
    """
    rank = f'ignoring (le) group_left () {q} * {explicit}{{le="+Inf"}}'
    above = f"clamp_min({explicit} - {rank}, 0)"
    labels = {"quantile": q}
    yield Rule(f"otel_llm:{name}:quantile_upper5m", f"histogram_quantile(1, {explicit} - {above})", labels)
    yield Rule(f"otel_llm:{name}:quantile_lower5m", f"histogram_quantile(1e-9, {above})", labels)
    yield Rule(
        f"otel_llm:{name}:quantile_clipped5m",
        f'(max without (le) ({explicit}{{le!="+Inf"}}) < bool {q} * max without (le) ({explicit}{{le="+Inf"}}))\n'
        f'and max without (le) ({explicit}{{le="+Inf"}}) > 0',
        labels,
    )
    lower = f'otel_llm:{name}:quantile_lower5m{{quantile="{q}"}}'
    yield Rule(f"otel_llm:{name}:quantile_below5m", f"({lower} >= 0) < bool {_FIRST}", labels)


def union_rules(measure: Measure) -> Iterator[Rule]:
    """Yield the histogram of everything on the common grid, and its percentiles by vantage and model."""
    native, explicit = f"otel_llm:{measure.name}:rate5m", f"otel_llm:{measure.name}:bucket_rate5m"
    together = f"otel_llm:{measure.name}:union_rate5m"
    counts = f'max without (le) ({explicit}{{le="+Inf"}}) > 0'
    for edge in grid_edges(*measure.bounds):
        shares = "\n    or ".join(_shares_below(measure, edge, explicit))
        both = (
            f"({shares}) * ({counts})\n  or histogram_fraction(0, {edge:g}, {native}) * (histogram_count({native}) > 0)"
        )
        yield Rule(together, f"sum by ({BY}) (\n  {both}\n)", {"le": f"{edge:g}"})
    yield Rule(together, f"sum by ({BY}) (({counts}) or (histogram_count({native}) > 0))", {"le": "+Inf"})
    by = f"le, {VANTAGE}, {MODEL}, {TRAFFIC}"
    for q in QUANTILES:
        yield Rule(
            f"otel_llm:{measure.name}:quantile5m",
            f"histogram_quantile({q}, sum by ({by}) ({together}))",
            {"quantile": q, "histogram": "union"},
        )


def _shares_below(measure: Measure, edge: float, explicit: str) -> Iterator[str]:
    """Yield the expressions that give, for each family, the share of its values below a grid edge."""
    moved: dict[float, list[str]] = {}
    for name, edges in known_families(measure.instruments).items():
        at = log_spread_edge(edge, edges)
        if at != edge:
            moved.setdefault(at, []).append(name)
    for at, names in moved.items():
        yield f'histogram_fraction(0, {at:.6g}, {explicit}{{{FAMILY}=~"{"|".join(names)}"}})'
    rest = "|".join(itertools.chain(*moved.values()))
    others = f'{{{FAMILY}!~"{rest}"}}' if rest else ""
    yield f"histogram_fraction(0, {edge:g}, {explicit}{others})"


def client_minus_server_rules(measure: Measure) -> Iterator[Rule]:
    """Yield how much later clients see a percentile than the engine, frontend or gateway that they call.

    Both sides are read on the same grid; read at their own edges, the difference could come out negative.
    """
    for q in QUANTILES:
        at = f'otel_llm:{measure.name}:quantile5m{{histogram="union", quantile="{q}", {VANTAGE}="%s"}}'
        for inner in ("gateway", "frontend", "engine"):
            yield Rule(
                f"otel_llm:{measure.name}:client_minus5m",
                f"sum by ({MODEL}, {TRAFFIC}) ({at % 'client'}) - on ({MODEL}) group_left () {at % inner}",
                {"quantile": q, VANTAGE: inner},
            )
