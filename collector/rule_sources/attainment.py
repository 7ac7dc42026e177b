"""Recording rules for service level objectives: the share of values within a threshold, slow values, and goodput.

`rules/slo.yaml` promises one threshold for each measure and one objective for all, and others for single models. So a
threshold is a series beside the histograms, not a number in a query. An explicit histogram is read at it by its own
edges: exactly where the threshold is one of them. Between two edges the share that is slower is taken to fall by the
same factor over each second, as tails do; spread evenly, on whichever scale, it would come out up to three times too
large.
"""

from collections.abc import Iterator
from typing import Final

from otel_llm import conventions
from otel_llm_collector.rule_sources.dimensions import BY, FAMILY, MODEL, TRAFFIC
from otel_llm_collector.rule_sources.grid import all_edges, grid_edges
from otel_llm_collector.rule_sources.rule import Rule, either
from otel_llm_collector.vocabulary.measures import DURATION, ITL, TPOT, TTFT, Measure
from otel_llm_collector.vocabulary.prometheus_names import label_name, series_for

__all__ = ["PROMISED", "PROMISES", "WINDOWS", "edge_rules", "goodput_rules", "slo_rules"]

PROMISES: Final = (
    "otel_llm:slo_threshold:seconds",
    "otel_llm:slo_objective:ratio",
    "otel_llm:alert_traffic:count",
    "otel_llm:series_budget:count",
)
"""What `rules/slo.yaml` records. It is written by hand, for operators to edit."""
PROMISED: Final = (TTFT, ITL, TPOT, DURATION)
"""The measures that `rules/slo.yaml` has a threshold for."""
WINDOWS: Final = ("30m", "1h", "6h")

_EDGE: Final = "otel_llm:edge:seconds"
_GRID: Final = "grid"
"""The family of exponential histograms that are read on the common grid."""


def edge_rules() -> Iterator[Rule]:
    """Yield what each known bucket edge is in seconds, by its `le`: a query cannot read a label as a number."""
    shown = [f'label_replace(vector({edge}), "le", "{edge}", "", "")' for edge in all_edges()]
    # in groups: each `or` looks at all that stands left of it
    groups = (" or ".join(shown[at : at + 16]) for at in range(0, len(shown), 16))
    yield Rule(_EDGE, "\nor ".join(f"({group})" for group in groups))


def slo_rules(measure: Measure) -> Iterator[Rule]:
    """Yield the share of values within the threshold, and how many were not, up to six hours back."""
    name = measure.name
    native, explicit = f"otel_llm:{name}:rate5m", f"otel_llm:{name}:bucket_rate5m"
    counts = {
        "exponential": f"(histogram_count({native}) > 0)",
        "explicit": f'max without (le) ({explicit}{{le="+Inf"}})',
    }
    promises = f'otel_llm:slo_threshold:seconds{{measure="{name}", {MODEL}%s""}}'
    groups = f'(count by ({BY}) ({explicit}{{le="+Inf"}}) or count by ({BY}) ({native}))'
    yield Rule(f"otel_llm:{name}:slo_threshold", _per_model(groups, promises))
    yield from _bracket(measure, native, explicit, promises)
    yield Rule(f"otel_llm:{name}:attainment5m", _within(name, explicit, f'!="{_GRID}"'), {"histogram": "explicit"})
    yield Rule(f"otel_llm:{name}:attainment5m", _native_share(name, native, promises), {"histogram": "exponential"})
    yield Rule(f"otel_llm:{name}:count_rate5m", f"sum by ({BY}) ({' or '.join(counts.values())})")
    slow = "\n  or ".join(
        f'(1 - otel_llm:{name}:attainment5m{{histogram="{kind}"}}) * ignoring (histogram) {count}'
        for kind, count in counts.items()
    )
    yield Rule(f"otel_llm:{name}:slow_rate5m", f"sum by ({BY}) (\n  {slow}\n)")
    rates = f"otel_llm:{name}:slow_rate5m", f"otel_llm:{name}:count_rate5m"
    yield Rule(f"otel_llm:{name}:slow_ratio", " / ".join(rates), {"window": "5m"})
    for window in WINDOWS:
        over = " / ".join(f"sum_over_time({rate}[{window}])" for rate in rates)
        yield Rule(f"otel_llm:{name}:slow_ratio", over, {"window": window})
    groups = f'max by ({BY}) (otel_llm:{name}:slow_ratio{{window="{WINDOWS[-1]}"}})'
    yield Rule(f"otel_llm:{name}:slo_budget", f"1 - (\n{_per_model(groups, _OBJECTIVES)}\n)")


_OBJECTIVES: Final = f'otel_llm:slo_objective:ratio{{{MODEL}%s""}}'


def _per_model(groups: str, promises: str) -> str:
    """Return a promise for each of some groups: that of its model, else the one for all.

    promises: the series, with `%s` where `=` selects the promise for all and `!=` those of single models.
    """
    of_model = f"max by ({MODEL}) ({promises % '!='})"
    return f"0 * {groups} + on ({MODEL}) group_left () {of_model}\nor\n0 * {groups} + scalar({promises % '='})"


def _bracket(measure: Measure, native: str, explicit: str, promises: str) -> Iterator[Rule]:
    """Yield the bucket edges next to the threshold, by model and family, and what is below them.

    They are picked out once: looking at every bucket again for each term of a formula is what rules cost.
    A query reads an exponential histogram at only one number, so those of models that have their own threshold are
    read on the common grid. They are few, so they are picked out before.
    """
    name = measure.name
    own, chosen = f"otel_llm:{name}:own_promise_histogram5m", f"otel_llm:{name}:own_promise_rate5m"
    yield Rule(own, f"{native} and on ({MODEL}) {promises % '!='}")
    yield Rule(chosen, _on_grid(measure, own), {FAMILY: _GRID})
    by = f"{MODEL}, {FAMILY}"
    edges = f"group by ({by}, le) ({explicit} or {chosen}) * on (le) group_left () {_EDGE}"
    threshold = f"on ({MODEL}) group_left () max by ({MODEL}) (otel_llm:{name}:slo_threshold)"
    edge = f"otel_llm:{name}:slo_edge"
    yield Rule(edge, f"topk by ({by}) (1, {edges} <= {threshold})", {"side": "low"})
    yield Rule(edge, f"bottomk by ({by}) (1, {edges} > {threshold})", {"side": "high"})
    # both sides at once, so that every bucket is read once; anything to the power of 0 is 1
    below = f"({explicit} or {chosen}) * on ({by}, le) group_left (side) {edge} ^ 0"
    yield Rule(f"otel_llm:{name}:slo_bucket_rate5m", below)


def _on_grid(measure: Measure, native: str) -> str:
    """Return exponential histograms as cumulative buckets with the edges of the common grid."""
    count = f"(histogram_count({native}) > 0)"
    below = {
        f"{edge:g}": f"histogram_fraction(0, {edge:g}, {native}) * {count}" for edge in grid_edges(*measure.bounds)
    }
    return either([f'label_replace({values}, "le", "{le}", "", "")' for le, values in {**below, "+Inf": count}.items()])


def _within(name: str, buckets: str, families: str) -> str:
    """Return the share of values within the threshold, of cumulative buckets of some families.

    Values above the last edge are not known to be within it, so they count as slow.
    """
    total = f'max without (le) ({buckets}{{{FAMILY}{families}, le="+Inf"}})'
    low, high = (
        f'(0 * {total} + on ({MODEL}, {FAMILY}) group_left () otel_llm:{name}:slo_edge{{side="{side}"}})'
        for side in ("low", "high")
    )
    count_low, count_high = (
        f'sum without (le, side) (otel_llm:{name}:slo_bucket_rate5m{{side="{side}", {FAMILY}{families}}})'
        for side in ("low", "high")
    )
    at = f"(0 * {total} + on ({BY}) group_left () otel_llm:{name}:slo_threshold)"
    slower_low, slower_high = f"({total} - {count_low})", f"(({total} - {count_high}) > 0)"
    tail = f"{total} - {slower_low} * ({slower_high} / {slower_low}) ^ (({at} - {low}) / ({high} - {low}))"
    # no value above the upper edge: there is no tail to go by
    step = f"({count_high} - {count_low})"
    spread = f"{count_low} + {step} * ln({at} / ({low} > 0)) / ln({high} / {low})"
    first = f"{count_high} * {at} / {high}"
    return f"(\n  {tail}\n  or {spread}\n  or {first} unless ({low} > 0)\n  or {count_low}\n) / {total}"


def _native_share(name: str, native: str, promises: str) -> str:
    """Return the share of exponential histograms within the threshold: exact, but for models with their own."""
    own = f"max by ({MODEL}) ({promises % '!='})"
    exact = f"histogram_fraction(0, scalar({promises % '='}), {native} unless on ({MODEL}) {own})"
    on_grid = _within(name, f"otel_llm:{name}:own_promise_rate5m", f'="{_GRID}"')
    return f"{exact}\nor\nmax without ({FAMILY}) (\n{on_grid}\n)"


def goodput_rules() -> Iterator[Rule]:
    """Yield requests per second that met every term of their SLO, as counted by the load generator or the library.

    Percentiles cannot give this: they do not say which slow first tokens also belonged to slow answers.
    """
    judged = series_for("slo_requests")
    by = ", ".join(("job", label_name(conventions.RUN_ID), TRAFFIC))
    met = f'sum by ({by}) (rate({judged}{{{conventions.SLO_MET}="true"}}[5m]))'
    yield Rule("otel_llm:goodput:rate5m", met)
    yield Rule("otel_llm:goodput:ratio5m", f"{met} / (sum by ({by}) (rate({judged}[5m])) > 0)")
