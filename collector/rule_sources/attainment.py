"""Recording rules for service level objectives: the share of values within a threshold, slow values, and goodput."""

from collections.abc import Iterator
from typing import Final

from otel_llm import conventions
from otel_llm_collector.rule_sources.dimensions import BY
from otel_llm_collector.rule_sources.rule import Rule
from otel_llm_collector.vocabulary.measures import DURATION, ITL, TPOT, TTFT, Measure
from otel_llm_collector.vocabulary.prometheus_names import label_name, series_for

__all__ = ["PROMISED", "PROMISES", "WINDOWS", "goodput_rules", "slo_rules"]

PROMISES: Final = ("otel_llm:slo_threshold:seconds", "otel_llm:slo_objective:ratio", "otel_llm:series_budget:count")
"""What `rules/slo.yaml` records. It is written by hand, for operators to edit."""
PROMISED: Final = (TTFT, ITL, TPOT, DURATION)
"""The measures that `rules/slo.yaml` has a threshold for."""
WINDOWS: Final = ("30m", "1h", "6h")


def slo_rules(measure: Measure) -> Iterator[Rule]:
    """Yield the share of values within the threshold, and how many were not, up to six hours back.

    An exponential histogram gives the right share for any threshold. An explicit one is exact when the threshold is
    one of its edges; between two edges values count as spread evenly.
    """
    name = measure.name
    threshold = f'scalar(otel_llm:slo_threshold:seconds{{measure="{name}"}})'
    kinds = {
        "exponential": (f"otel_llm:{name}:rate5m", f"histogram_count(otel_llm:{name}:rate5m)"),
        "explicit": (
            f"otel_llm:{name}:bucket_rate5m",
            f'max without (le) (otel_llm:{name}:bucket_rate5m{{le="+Inf"}})',
        ),
    }
    for kind, (histogram, _) in kinds.items():
        share = f"histogram_fraction(0, {threshold}, {histogram})"
        yield Rule(f"otel_llm:{name}:attainment5m", share, {"histogram": kind})
    counts = " or ".join(f"({count} > 0)" for _, count in kinds.values())
    yield Rule(f"otel_llm:{name}:count_rate5m", f"sum by ({BY}) ({counts})")
    slow = "\n  or ".join(
        f"(1 - histogram_fraction(0, {threshold}, {histogram})) * ({count} > 0)" for histogram, count in kinds.values()
    )
    yield Rule(f"otel_llm:{name}:slow_rate5m", f"sum by ({BY}) (\n  {slow}\n)")
    rates = f"otel_llm:{name}:slow_rate5m", f"otel_llm:{name}:count_rate5m"
    yield Rule(f"otel_llm:{name}:slow_ratio", " / ".join(rates), {"window": "5m"})
    for window in WINDOWS:
        over = " / ".join(f"sum_over_time({rate}[{window}])" for rate in rates)
        yield Rule(f"otel_llm:{name}:slow_ratio", over, {"window": window})


def goodput_rules() -> Iterator[Rule]:
    """Yield requests per second that met every term of their SLO, as counted by the load generator or the library.

    Percentiles cannot give this: they do not say which slow first tokens also belonged to slow answers.
    """
    judged = series_for("slo_requests")
    by = ", ".join(("job", label_name(conventions.RUN_ID)))
    met = f'sum by ({by}) (rate({judged}{{{conventions.SLO_MET}="true"}}[5m]))'
    yield Rule("otel_llm:goodput:rate5m", met)
    yield Rule("otel_llm:goodput:ratio5m", f"{met} / (sum by ({by}) (rate({judged}[5m])) > 0)")
