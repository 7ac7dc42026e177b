"""Recording rules for load runs: exact, since a run's histograms count from its start and are read without a rate."""

from collections.abc import Iterator
from typing import Final

from otel_llm import conventions
from otel_llm_collector.rule import Rule
from otel_llm_collector.rules_percentiles import FAMILY, QUANTILES, SUCCEEDED
from otel_llm_collector.series import Measure, label

__all__ = ["run"]

_RUN: Final = label(conventions.RUN_ID)
_BY: Final = ", ".join((_RUN, "job", label(conventions.REQUEST_MODEL)))
_FOR: Final = "1h"
"""How long after its last export a run is still shown."""


def run(measure: Measure) -> Iterator[Rule]:
    """Yield the histogram of each run, how many values it has and its percentiles."""
    native, explicit = f"otel_llm:run_{measure.name}:histogram", f"otel_llm:run_{measure.name}:bucket"
    yield Rule(native, _last(measure, "", _BY))
    yield Rule(explicit, _last(measure, "_bucket", f"{_BY}, {FAMILY}, le"))
    count = f'histogram_count({native}) or max without (le) ({explicit}{{le="+Inf"}})'
    yield Rule(f"otel_llm:run_{measure.name}:count", count)
    for q in QUANTILES:
        for kind, histogram in (("exponential", native), ("explicit", explicit)):
            yield Rule(
                f"otel_llm:run_{measure.name}:quantile",
                f"histogram_quantile({q}, {histogram})",
                {"quantile": q, "histogram": kind},
            )


def _last(measure: Measure, suffix: str, by: str) -> str:
    """Return the last cumulative value of the first source that the run has."""
    terms: list[str] = []
    before: list[str] = []
    for source in measure.sources():
        chosen = f'{source}{suffix}{{{_RUN}!="", {SUCCEEDED}}}'
        others = "".join(f" unless on ({_RUN}) last_over_time({name}[{_FOR}])" for name in before)
        terms.append(f"(sum by ({by}) (last_over_time({chosen}[{_FOR}])){others})")
        before.append(f"{source}{suffix}")
    return "\nor\n".join(terms)
