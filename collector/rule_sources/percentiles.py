"""Recording rules for percentiles that are right: per bucket family, across all families, and client minus server.

Adding up `_bucket` series of engines with different edges gives no histogram at all. So exponential histograms are
added up directly, explicit ones only within their family, and everything together only once each family has been
read at the edges of one common grid.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from otel_llm_collector.rule_sources.dimensions import BY, FAMILY, MODEL, QUANTILES, SUCCEEDED, TRAFFIC, VANTAGE
from otel_llm_collector.rule_sources.grid import grid_edges, known_families, parts_below
from otel_llm_collector.rule_sources.rule import Rule, either
from otel_llm_collector.vocabulary import bucket_family
from otel_llm_collector.vocabulary.measures import Measure
from otel_llm_collector.vocabulary.prometheus_names import series_for

__all__ = ["Side", "bucket_edge", "client_minus_server_rules", "family_rules", "first_source_rates", "union_rules"]

Side = Literal["lower", "upper"]

WINDOW: Final = "5m"
_SAME_SERVICE: Final = f"job, {MODEL}, {VANTAGE}"
_ALL: Final = 'le="+Inf"'
"""The bucket that holds all values."""


def family_rules(measure: Measure) -> Iterator[Rule]:
    """Yield rates, percentiles and how much lies outside the edges, for each kind of histogram and family of edges.

    How many values a service has is known first: of one without any, which is most of a fleet at night, no bucket is
    kept, so that no rule after this reads it.
    """
    native, explicit = f"otel_llm:{measure.name}:rate5m", f"otel_llm:{measure.name}:bucket_rate5m"
    yield Rule(native, first_source_rates(measure, "", BY))
    by = f"{BY}, {FAMILY}"
    every = first_source_rates(measure, "_bucket", by, buckets=f", {_ALL}")
    yield Rule(explicit, f"(\n{every}\n) > 0", {"le": "+Inf"})
    others = first_source_rates(measure, "_bucket", f"{by}, le", buckets=', le!="+Inf"')
    yield Rule(explicit, f"(\n{others}\n) and ignoring (le) {explicit}{{{_ALL}}}")
    for q in QUANTILES:
        for kind, histogram in (("exponential", native), ("explicit", explicit)):
            yield Rule(
                f"otel_llm:{measure.name}:quantile5m",
                f"histogram_quantile({q}, {histogram})",
                {"quantile": q, "histogram": kind},
            )
    yield from _outside_edges(measure, explicit)


def first_source_rates(
    measure: Measure, suffix: str, by: str, window: str = WINDOW, matchers: str = SUCCEEDED, buckets: str = ""
) -> str:
    """Return the sum of the rates of a measure, taken for each service from the first source that it has.

    buckets: a matcher of `le`, after a comma, where not all buckets are wanted
    """
    terms: list[str] = []
    before: list[str] = []
    for source in measure.sources():
        rate = f"rate({source}{suffix}{{{matchers}{buckets}}}[{window}])"
        if source == series_for("server_time_to_first_token"):
            rate = f"{rate} {_unless_embeddings(matchers)}"
        term = f"sum by ({by}) ({rate})"
        if before:
            known = "|".join(f"{name}{suffix}" for name in before)
            beside = "" if matchers == SUCCEEDED else f", {matchers}"
            if suffix == "_bucket":  # whoever has a histogram has this one
                beside += f", {_ALL}"
            term = f'({term} unless on ({_SAME_SERVICE}) {{__name__=~"{known}"{beside}}})'
        terms.append(term)
        before.append(source)
    return "\nor\n".join(terms)


def _unless_embeddings(matchers: str) -> str:
    """Return what leaves out engines that never made a token: they made embeddings, and filled this histogram too."""
    tokens = series_for("server_generation_tokens")
    of_job = [matcher for matcher in matchers.split(", ") if matcher.startswith("job")]
    return f"unless on (job, instance, {MODEL}) {tokens}{{{''.join(of_job)}}} == 0"


def _outside_edges(measure: Measure, explicit: str) -> Iterator[Rule]:
    """Yield which share of the values is below the first edge above 0, and which is above the last one.

    A percentile that lies there is only a bound. Of known families just the buckets at these edges are read.
    """
    families = known_families(measure.instruments)
    others = f'{explicit}{{{FAMILY}!~"{"|".join(families)}", le!~"0|[+]Inf"}}'
    first = {name: {next(edge for edge in edges if edge > 0): 1.0} for name, edges in families.items()}
    last = {name: {edges[-1]: 1.0} for name, edges in families.items()}
    every = f"ignoring (le) {explicit}{{{_ALL}}}"
    shares = (
        f"(\n  {_indented(either(list(_parts(at, explicit))))}\n  or {take} without (le) ({others})\n) / {every}"
        for at, take in ((first, "min"), (last, "max"))
    )
    below, within = shares
    yield Rule(f"otel_llm:{measure.name}:below_first_edge5m", below)
    yield Rule(f"otel_llm:{measure.name}:above_last_edge5m", f"1 - {within}")


def bucket_edge(side: Side, q: str, buckets: str, every: str) -> str:
    """Return an expression for an edge of the bucket that a percentile falls in. It is asked for, and not recorded.

    Of a histogram that has everything in that bucket, the 100th percentile is its upper edge and the 0th its lower.
    Of the last bucket Prometheus knows no upper edge: it gives the lower one for both.

    buckets: selects the series of `bucket_rate5m`
    every: selects those of them with `le="+Inf"`
    """
    reached = f"{buckets} > bool ignoring (le) group_left () ({q} * {every})"
    return f"histogram_quantile({1 if side == 'upper' else 1e-9}, {reached})"


def union_rules(measure: Measure) -> Iterator[Rule]:
    """Yield the histogram of everything on the common grid, and its percentiles by vantage and model.

    A grid edge takes one or two buckets of each family. What is read, and how long the text is that Prometheus parses
    again each time, is most of what rules cost; so families of other edges are picked out once, before.
    """
    native, explicit = f"otel_llm:{measure.name}:rate5m", f"otel_llm:{measure.name}:bucket_rate5m"
    others, together = f"otel_llm:{measure.name}:other_bucket_rate5m", f"otel_llm:{measure.name}:union_rate5m"
    families = known_families(measure.instruments)
    yield Rule(others, f'{explicit}{{{FAMILY}!~"{"|".join(families)}"}}')
    every = f"{explicit}{{{_ALL}}}\nor histogram_count({native})"
    apart = f"sum without (le, {FAMILY})"
    yield Rule(together, f"{apart} (\n  {_indented(every)}\n) > 0", {"le": "+Inf"})
    for edge in grid_edges(*measure.bounds):
        known = either(list(_parts({name: parts_below(edge, edges) for name, edges in families.items()}, explicit)))
        unknown = f"histogram_fraction(-Inf, {edge:g}, {others}) * max without (le) ({others}{{{_ALL}}})"
        exact = f"histogram_fraction(0, {edge:g}, {native}) * (histogram_count({native}) > 0)"
        below = f"{known}\nor {unknown}\nor {exact}"
        yield Rule(together, f"{apart} (\n  {_indented(below)}\n)", {"le": f"{edge:g}"})
    of_model = f"otel_llm:{measure.name}:model_union_rate5m"
    # the percentiles read this, so that everything is added up once
    yield Rule(of_model, f"sum by (le, {VANTAGE}, {MODEL}, {TRAFFIC}) ({together})")
    for q in QUANTILES:
        yield Rule(
            f"otel_llm:{measure.name}:quantile5m",
            f"histogram_quantile({q}, {of_model})",
            {"quantile": q, "histogram": "union"},
        )


def _parts(wanted: Mapping[str, Mapping[float, float]], explicit: str) -> Iterator[str]:
    """Yield the buckets of known families at some of their edges, with their weights: those that are alike at once.

    wanted: weights by edge, by family
    """
    alike: dict[tuple[float, float], list[str]] = {}
    for name, parts in wanted.items():
        for part in parts.items():
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
