"""Recording rules for promises: the share within a threshold, what is slow over longer windows, and goodput."""

from collections.abc import Iterator
from typing import Final

from otel_llm import conventions
from otel_llm_collector.rule import Rule
from otel_llm_collector.rules_percentiles import WHOSE
from otel_llm_collector.series import Measure, label, series

__all__ = ["PROMISED", "WINDOWS", "attainment", "goodput", "threshold"]

PROMISED: Final = ("time_to_first_token", "inter_token_latency", "time_per_output_token", "request_duration")
"""The measures that `rules/slo.yaml` has a threshold for."""
WINDOWS: Final = ("30m", "1h", "6h")
_BY: Final = ", ".join(("job", *WHOSE))


def threshold(measure: str) -> str:
    """Return the promised number of seconds, as a scalar."""
    return f'scalar(otel_llm:slo_threshold:seconds{{measure="{measure}"}})'


def attainment(measure: Measure) -> Iterator[Rule]:
    """Yield the share of values within the threshold, and how many were not, up to six hours back.

    In an exponential histogram the share is right for any threshold; in an explicit one exactly so at an edge, and
    spread evenly between two.
    """
    name = measure.name
    kinds = {
        "exponential": (f"otel_llm:{name}:rate5m", f"histogram_count(otel_llm:{name}:rate5m)"),
        "explicit": (
            f"otel_llm:{name}:bucket_rate5m",
            f'max without (le) (otel_llm:{name}:bucket_rate5m{{le="+Inf"}})',
        ),
    }
    for kind, (histogram, _) in kinds.items():
        share = f"histogram_fraction(0, {threshold(name)}, {histogram})"
        yield Rule(f"otel_llm:{name}:attainment5m", share, {"histogram": kind})
    counts = " or ".join(f"({count} > 0)" for _, count in kinds.values())
    yield Rule(f"otel_llm:{name}:count_rate5m", f"sum by ({_BY}) ({counts})")
    slow = "\n  or ".join(
        f"(1 - histogram_fraction(0, {threshold(name)}, {histogram})) * ({count} > 0)"
        for histogram, count in kinds.values()
    )
    yield Rule(f"otel_llm:{name}:slow_rate5m", f"sum by ({_BY}) (\n  {slow}\n)")
    rates = f"otel_llm:{name}:slow_rate5m", f"otel_llm:{name}:count_rate5m"
    yield Rule(f"otel_llm:{name}:slow_ratio", " / ".join(rates), {"window": "5m"})
    for window in WINDOWS:
        over = " / ".join(f"sum_over_time({rate}[{window}])" for rate in rates)
        yield Rule(f"otel_llm:{name}:slow_ratio", over, {"window": window})


def goodput() -> Iterator[Rule]:
    """Yield requests per second that met every term of their SLO, as the load generator or the library counted them.

    It cannot be made of percentiles: which of the slow first tokens were also slow answers is not in them.
    """
    counted = series(conventions.instrument("slo_requests"))
    by = ", ".join(("job", label(conventions.RUN_ID)))
    met = f'sum by ({by}) (rate({counted}{{{conventions.SLO_MET}="true"}}[5m]))'
    yield Rule("otel_llm:goodput:rate5m", met)
    yield Rule("otel_llm:goodput:ratio5m", f"{met} / (sum by ({by}) (rate({counted}[5m])) > 0)")
