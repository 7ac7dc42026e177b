"""Recording rules for percentiles that are right: per bucket family, across all of them, and exactly for a run.

Adding up `_bucket` series of engines with different edges gives no histogram at all. So an exponential histogram is
added up as it is, an explicit one only within its family, and everything together only after each family was read
off at the edges of one grid.
"""

import itertools
from collections.abc import Iterator
from typing import Final

from otel_llm import conventions
from otel_llm_collector.grid import families, grid, moved
from otel_llm_collector.rule import Rule
from otel_llm_collector.series import Measure, label

__all__ = ["FAMILY", "QUANTILES", "SUCCEEDED", "WHOSE", "by_family", "rates", "union"]

QUANTILES: Final = ("0.5", "0.9", "0.95", "0.99")
WINDOW: Final = "5m"

WHOSE: Final = tuple(
    label(name) for name in (conventions.REQUEST_MODEL, conventions.ENGINE, conventions.VANTAGE, conventions.DEPLOYMENT)
)
"""Beside `job`, what tells one series from another after adding up: replicas are one."""
SUCCEEDED: Final = f'{label(conventions.ERROR_TYPE)}=""'
"""Latencies are those of requests that succeeded: failing fast is not fast."""
FAMILY: Final = label(conventions.BUCKET_FAMILY)
_BY: Final = ", ".join(("job", *WHOSE))
_SAME: Final = ", ".join(("job", label(conventions.REQUEST_MODEL), label(conventions.VANTAGE)))


def by_family(measure: Measure) -> Iterator[Rule]:
    """Yield rates, percentiles and the edges around them, for each kind of histogram and each family of edges."""
    native, explicit = f"otel_llm:{measure.name}:rate5m", f"otel_llm:{measure.name}:bucket_rate5m"
    yield Rule(native, rates(measure, "", _BY))
    yield Rule(explicit, rates(measure, "_bucket", f"{_BY}, {FAMILY}, le"))
    for q in QUANTILES:
        yield Rule(
            f"otel_llm:{measure.name}:quantile5m",
            f"histogram_quantile({q}, {native})",
            {"quantile": q, "histogram": "exponential"},
        )
        yield Rule(
            f"otel_llm:{measure.name}:quantile5m",
            f"histogram_quantile({q}, {explicit})",
            {"quantile": q, "histogram": "explicit"},
        )
        yield from _edges(measure.name, explicit, q)


def rates(measure: Measure, suffix: str, by: str, window: str = WINDOW, matchers: str = SUCCEEDED) -> str:
    """Return the sum of the rates of the first source that each service has."""
    terms: list[str] = []
    before: list[str] = []
    for source in measure.sources():
        term = f"sum by ({by}) (rate({source}{suffix}{{{matchers}}}[{window}]))"
        if before:
            known = "|".join(f"{name}{suffix}" for name in before)
            beside = "" if matchers == SUCCEEDED else f", {matchers}"
            term = f'({term} unless on ({_SAME}) {{__name__=~"{known}"{beside}}})'
        terms.append(term)
        before.append(source)
    return "\nor\n".join(terms)


def _edges(name: str, explicit: str, q: str) -> Iterator[Rule]:
    """Yield the edges of the bucket a percentile falls in, and whether that is the one without an upper edge.

    Cut at the rank, the histogram's 100th percentile is the upper edge; what is left above the rank begins, at its
    0th, with the lower one.
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


def union(measure: Measure) -> Iterator[Rule]:
    """Yield the histogram of everything on one grid, and its percentiles by vantage and model."""
    native, explicit = f"otel_llm:{measure.name}:rate5m", f"otel_llm:{measure.name}:bucket_rate5m"
    together = f"otel_llm:{measure.name}:union_rate5m"
    counts = f'max without (le) ({explicit}{{le="+Inf"}}) > 0'
    for edge in grid(measure):
        shares = "\n    or ".join(_fractions(measure, edge, explicit))
        both = (
            f"({shares}) * ({counts})\n  or histogram_fraction(0, {edge:g}, {native}) * (histogram_count({native}) > 0)"
        )
        yield Rule(together, f"sum by ({_BY}) (\n  {both}\n)", {"le": f"{edge:g}"})
    yield Rule(together, f"sum by ({_BY}) (({counts}) or (histogram_count({native}) > 0))", {"le": "+Inf"})
    by = ", ".join(("le", label(conventions.VANTAGE), label(conventions.REQUEST_MODEL)))
    for q in QUANTILES:
        yield Rule(
            f"otel_llm:{measure.name}:quantile5m",
            f"histogram_quantile({q}, sum by ({by}) ({together}))",
            {"quantile": q, "histogram": "union"},
        )


def _fractions(measure: Measure, edge: float, explicit: str) -> Iterator[str]:
    """Yield what gives, of each family, the share of values below a grid edge."""
    asked: dict[float, list[str]] = {}
    for name, edges in families(measure).items():
        at = moved(edge, edges)
        if at != edge:
            asked.setdefault(at, []).append(name)
    for at, names in asked.items():
        yield f'histogram_fraction(0, {at:.6g}, {explicit}{{{FAMILY}=~"{"|".join(names)}"}})'
    rest = "|".join(itertools.chain(*asked.values()))
    others = f'{{{FAMILY}!~"{rest}"}}' if rest else ""
    yield f"histogram_fraction(0, {edge:g}, {explicit}{others})"
