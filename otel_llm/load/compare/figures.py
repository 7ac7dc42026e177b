"""The figures of a run that are compared, read of its report."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from otel_llm.load.compare.difference import share_estimate
from otel_llm.load.compare.estimate import Estimate
from otel_llm.load.compare.pairing import FAILED
from otel_llm.load.figures.enough import values_needed

__all__ = ["Figure", "figures_of"]

_Measure = tuple[str, str, tuple[str, ...]]
_MEASURES: Final[tuple[_Measure, ...]] = (
    ("time_to_first_token", "time to first token", ("p50", "p90", "p99")),
    ("inter_token_latency", "inter-token latency", ("p50", "p99")),
    ("request_latency", "request latency", ("p50", "p90", "p99")),
    ("corrected_time_to_first_token", "TTFT from intended", ("p99",)),
)
_ONE_MEAN: Final[_Measure] = ("time_per_output_token", "time per output token", ("p50", "p99"))
"""What most other tools have in place of gaps."""
_RATES: Final = (
    ("request_throughput", "requests", "1/s"),
    ("output_token_throughput", "output tokens", "1/s"),
)


class Figure(NamedTuple):
    """A figure of a run.

    name:           what it is called
    unit:           `s`, `1/s`, or "" for a share of requests
    key:            (measure, percentile) or FAILED, by which `pairing` knows it; None of a rate
    enough:         whether the run has the values that its percentile takes
    """

    name: str
    unit: str
    estimate: Estimate
    key: tuple[str, str] | None = None
    less_is_better: bool = True
    enough: bool = True


def figures_of(report: Mapping[str, Any], *, means: bool = False) -> Iterator[Figure]:
    """Yield the figures that a report has. means: those too that are of other tools' results"""
    for measure, label, percentiles in (*_MEASURES, *([_ONE_MEAN] if means else [])):
        row = report["measures"][measure]
        for name in percentiles:
            if row[name] is not None:
                near = row.get("ci83", {}).get(name, (None, None))
                estimate = Estimate(row[name], *row["ci95"][name], *near)
                enough = row.get("count", 0) >= values_needed(float(name[1:]))
                yield Figure(f"{label} {name}", "s", estimate, (measure, name), enough=enough)
    for rate, label, unit in _RATES:
        if report[rate]:
            interval = report.get("throughput_ci95", {}).get(rate, (None, None))
            yield Figure(label, unit, Estimate(report[rate], *interval), less_is_better=False)
    failed, succeeded = report["requests"]["failed"], report["requests"]["succeeded"]
    if ended := failed + succeeded:
        yield Figure("failed requests", "", share_estimate(failed, ended), FAILED)
