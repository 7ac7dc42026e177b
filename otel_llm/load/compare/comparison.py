"""A comparison of two runs, made of their reports: each figure with its difference, and what else differs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from otel_llm.load.compare.difference import Difference, Estimate, difference_of, share_estimate
from otel_llm.load.plan.arguments import flags

__all__ = ["Compared", "Comparison", "compare", "doubts_of"]

_MEASURES: Final = (
    ("time_to_first_token", "time to first token", ("p50", "p90", "p99")),
    ("inter_token_latency", "inter-token latency", ("p50", "p99")),
    ("request_latency", "request latency", ("p50", "p90", "p99")),
    ("corrected_time_to_first_token", "TTFT from intended", ("p99",)),
)
_RATES: Final = (
    ("request_throughput", "requests", "1/s"),
    ("output_token_throughput", "output tokens", "1/s"),
)
_NOT_THE_LOAD: Final = frozenset(
    (
        *("name", "append", "json", "jsonl", "debug", "log_every_n_query", "otlp_endpoint", "otlp_protocol"),
        *(
            "histograms",
            "wandb_api_key",
            "no_content",
            "strict",
            "slo",
            "slo_attainment",
            "fail_if",
            "junit",
            "calibrate",
        ),
    )
)
"""Options that change where results go, and not what is measured."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure of both runs. unit: `s`, `1/s`, or "" for a share of requests"""

    figure: str
    unit: str
    first: Estimate
    second: Estimate
    difference: Difference


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs beside each other.

    first, second: what they are called
    compared:      the figures that both have
    differs:       options in which the runs differ: (option, first, second)
    doubts:        why the figures may not be the server's, a sentence each
    """

    first: str
    second: str
    compared: Sequence[Compared]
    differs: Sequence[tuple[str, str, str]]
    doubts: Sequence[str]

    @property
    def worse(self) -> list[Compared]:
        """The figures that got worse, beyond what chance does among so many."""
        return [each for each in self.compared if each.difference.verdict == "worse"]


class _Pair(NamedTuple):
    figure: str
    unit: str
    first: Estimate
    second: Estimate
    less_is_better: bool = True


def compare(names: tuple[str, str], first: Mapping[str, Any], second: Mapping[str, Any]) -> Comparison:
    """Return what the second run has more than the first. first, second: reports as `--json` writes them"""
    pairs = list(_pairs(first, second))
    return Comparison(
        *names,
        [
            Compared(
                *pair[:4],
                difference_of(pair.first, pair.second, comparisons=len(pairs), less_is_better=pair.less_is_better),
            )
            for pair in pairs
        ],
        list(_differs(first["run"]["arguments"], second["run"]["arguments"])),
        [doubt for name, report in zip(names, (first, second), strict=True) for doubt in doubts_of(name, report)],
    )


def doubts_of(name: str, report: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a run is no measure of its server, a sentence each."""
    if report["client"] is None:
        yield f"{name} was broken off, and nothing is known of its client"
    elif report["client"]["saturated"]:
        yield f"{name} was limited by its client: {'; '.join(report['client']['reasons'])}"


def _pairs(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[_Pair]:
    for measure, label, percentiles in _MEASURES:
        one, other = first["measures"][measure], second["measures"][measure]
        for name in percentiles:
            if one[name] is not None and other[name] is not None:
                yield _Pair(f"{label} {name}", "s", _percentile(one, name), _percentile(other, name))
    for rate, label, unit in _RATES:
        if first[rate] and second[rate]:
            yield _Pair(label, unit, _rate(first, rate), _rate(second, rate), less_is_better=False)
    if all(_ended(each) for each in (first, second)):
        yield _Pair("failed requests", "", _failed(first), _failed(second))


def _percentile(row: Mapping[str, Any], name: str) -> Estimate:
    return Estimate(row[name], *row["ci95"][name])


def _rate(report: Mapping[str, Any], name: str) -> Estimate:
    return Estimate(report[name], *report.get("throughput_ci95", {}).get(name, (None, None)))


def _failed(report: Mapping[str, Any]) -> Estimate:
    return share_estimate(report["requests"]["failed"], _ended(report))


def _ended(report: Mapping[str, Any]) -> int:
    failed, succeeded = report["requests"]["failed"], report["requests"]["succeeded"]
    return int(failed + succeeded)


def _differs(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    known = flags()
    for name in dict.fromkeys((*first, *second)):
        one, other = first.get(name), second.get(name)
        if _shown(one) != _shown(other) and name not in _NOT_THE_LOAD:
            yield known.get(name, name), _shown(one), _shown(other)


def _shown(value: Any) -> str:
    return "not given" if value in (None, [], {}) else str(value)
