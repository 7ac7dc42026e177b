"""Recording rules for load runs: exact, because a run's histograms count from its start and are read without a rate."""

from collections.abc import Iterator
from typing import Final

from otel_llm import conventions
from otel_llm_collector.rule_sources.dimensions import FAMILY, QUANTILES, SUCCEEDED
from otel_llm_collector.rule_sources.rule import Rule
from otel_llm_collector.vocabulary.measures import Measure
from otel_llm_collector.vocabulary.prometheus_names import label_name

__all__ = ["run_rules"]

_RUN: Final = label_name(conventions.RUN_ID)
_BY: Final = ", ".join((_RUN, "job", label_name(conventions.REQUEST_MODEL)))
_FOR: Final = "1h"
"""How long after its last export a run is still shown."""


def run_rules(measure: Measure) -> Iterator[Rule]:
    """Yield the histogram of each run, how many values it has, and its percentiles."""
    native, explicit = f"otel_llm:run_{measure.name}:histogram", f"otel_llm:run_{measure.name}:bucket"
    yield Rule(native, _last_values(measure, "", _BY))
    yield Rule(explicit, _last_values(measure, "_bucket", f"{_BY}, {FAMILY}, le"))
    count = f'histogram_count({native}) or max without (le) ({explicit}{{le="+Inf"}})'
    yield Rule(f"otel_llm:run_{measure.name}:count", count)
    for q in QUANTILES:
        for kind, histogram in (("exponential", native), ("explicit", explicit)):
            yield Rule(
                f"otel_llm:run_{measure.name}:quantile",
                f"histogram_quantile({q}, {histogram})",
                {"quantile": q, "histogram": kind},
            )


def _last_values(measure: Measure, suffix: str, by: str) -> str:
    """Return the last cumulative values of a measure, taken for each run from the first source that it has."""
    terms: list[str] = []
    before: list[str] = []
    for source in measure.sources():
        chosen = f'{source}{suffix}{{{_RUN}!="", {SUCCEEDED}}}'
        others = "".join(f" unless on ({_RUN}) last_over_time({name}[{_FOR}])" for name in before)
        terms.append(f"(sum by ({by}) (last_over_time({chosen}[{_FOR}])){others})")
        before.append(f"{source}{suffix}")
    return "\nor\n".join(terms)
