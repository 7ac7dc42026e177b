"""Recording rules for percentiles that are right: per bucket family, across all families, and client minus server.

Adding up `_bucket` series of engines with different edges gives no histogram at all. So exponential histograms are
added up directly, explicit ones only within their family, and everything together only once each family has been
read at the edges of one common grid.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from otel_llm_collector.rule_sources.dimensions import BY, FAMILY, MODEL, QUANTILES, SUCCEEDED, TRAFFIC, VANTAGE
from otel_llm_collector.rule_sources.grid import grid_edges, known_families, parts_below
from otel_llm_collector.rule_sources.rule import Rule, either
from otel_llm_collector.vocabulary import bucket_family
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

    Of a histogram that has everything in that bucket, the 100th percentile is its upper edge and the 0th its lower.
    Of the last bucket Prometheus knows no upper edge: it gives the lower one for both.
    """
    reached = f'({explicit} > bool ignoring (le) group_left () ({q} * {explicit}{{le="+Inf"}}))'
    labels = {"quantile": q}
    upper, lower = (f"otel_llm:{name}:quantile_{edge}5m" for edge in ("upper", "lower"))
    yield Rule(upper, f"histogram_quantile(1, {reached})", labels)
    yield Rule(lower, f"histogram_quantile(1e-9, {reached})", labels)
    upper, lower = (f'({edge}{{quantile="{q}"}} >= 0)' for edge in (upper, lower))  # not of those without a value
    yield Rule(f"otel_llm:{name}:quantile_clipped5m", f"{upper} == bool {lower}", labels)
    yield Rule(f"otel_llm:{name}:quantile_below5m", f"{lower} < bool {_FIRST}", labels)


def union_rules(measure: Measure) -> Iterator[Rule]:
    """Yield the histogram of everything on the common grid, and its percentiles by vantage and model.

    A grid edge takes one or two buckets of each family. What is read, and how long the text is that Prometheus parses
    again each time, is most of what rules cost; so families of other edges are picked out once, before.
    """
    native, explicit = f"otel_llm:{measure.name}:rate5m", f"otel_llm:{measure.name}:bucket_rate5m"
    others, together = f"otel_llm:{measure.name}:other_bucket_rate5m", f"otel_llm:{measure.name}:union_rate5m"
    families = known_families(measure.instruments)
    yield Rule(others, f'{explicit}{{{FAMILY}!~"{"|".join(families)}"}}')
    every = f'{explicit}{{le="+Inf"}}\nor histogram_count({native})'
    apart = f"sum without (le, {FAMILY})"
    yield Rule(together, f"{apart} (\n  {_indented(every)}\n) > 0", {"le": "+Inf"})
    for edge in grid_edges(*measure.bounds):
        known = either(list(_buckets_below(edge, explicit, families)))
        unknown = f'histogram_fraction(-Inf, {edge:g}, {others}) * (max without (le) ({others}{{le="+Inf"}}) > 0)'
        exact = f"histogram_fraction(0, {edge:g}, {native}) * (histogram_count({native}) > 0)"
        below = f"{known}\nor {unknown}\nor {exact}"
        present = f'and ignoring (le) {together}{{le="+Inf"}}'
        yield Rule(together, f"{apart} (\n  {_indented(below)}\n) {present}", {"le": f"{edge:g}"})
    by = f"le, {VANTAGE}, {MODEL}, {TRAFFIC}"
    for q in QUANTILES:
        yield Rule(
            f"otel_llm:{measure.name}:quantile5m",
            f"histogram_quantile({q}, sum by ({by}) ({together}))",
            {"quantile": q, "histogram": "union"},
        )


def _buckets_below(edge: float, explicit: str, families: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """Yield the buckets, or parts of them, that hold the values of known families below a grid edge."""
    alike: dict[tuple[float, float], list[str]] = {}
    for name, edges in families.items():
        for part in parts_below(edge, edges).items():
            alike.setdefault(part, []).append(name)
    for (at, weight), names in alike.items():
        matches = f'=~"{"|".join(names)}"' if len(names) > 1 else f'="{names[0]}"'
        buckets = f'{explicit}{{le="{bucket_family.number(at)}", {FAMILY}{matches}}}'
        yield buckets if weight == 1 else f"{buckets} * {weight:g}"


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")


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
