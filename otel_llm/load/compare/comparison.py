"""A comparison of two runs, made of their reports: each figure with its difference, and what else differs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from otel_llm.load.compare.difference import Difference, Estimate, difference_of, share_estimate
from otel_llm.load.compare.pairing import FAILED, Paired
from otel_llm.load.plan.arguments import flags

__all__ = ["Compared", "Comparison", "compare", "doubts_of", "options_that_differ", "versions_that_differ"]

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
_NOT_THE_LOAD: Final = frozenset(
    (
        *("name", "append", "json", "jsonl", "debug", "log_every_n_query", "compat", "otlp_endpoint", "otlp_protocol"),
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
    """A figure of both runs. unit: `s`, `1/s`, `in parallel`, or "" for a share of requests"""

    figure: str
    unit: str
    first: Estimate
    second: Estimate
    difference: Difference


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs beside each other.

    first, second: what they are called
    at:            the load of both, where they are of studies
    compared:      the figures that both have
    paired:        requests of the one whose prompt the other sent as well, which its intervals know of; None where the
                   runs were not paired
    differs:       options in which the runs differ, and versions of software: (which, first, second)
    doubts:        why the figures may not be the server's, a sentence each
    meanings:      what figures of another tool mean, and what of them cannot be compared; what searches found: a
                   sentence each
    """

    first: str
    second: str
    at: str | None
    compared: Sequence[Compared]
    paired: int | None
    differs: Sequence[tuple[str, str, str]]
    doubts: Sequence[str]
    meanings: Sequence[str]

    @property
    def title(self) -> str:
        """What is compared."""
        return f"{self.second} against {self.first}{f' at {self.at}' if self.at else ''}"

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
    correlation: float = 0.0


def compare(
    names: tuple[str, str],
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    paired: Paired | None = None,
    at: str | None = None,
) -> Comparison:
    """Return what the second run has more than the first.

    first, second: reports as `--json` writes them; paired: how alike they are, where they sent the same prompts
    at: the load of both, where they are of studies
    """
    reports = dict(zip(names, (first, second), strict=True))
    foreign = any(report.get("made_by") for report in reports.values())
    alike = {} if paired is None else paired.correlations
    pairs = list(_pairs(first, second, alike, *([_ONE_MEAN] if foreign else [])))
    return Comparison(
        *names,
        at,
        [Compared(*pair[:4], _difference(pair, len(pairs), foreign=foreign)) for pair in pairs],
        None if paired is None else paired.requests,
        [
            *options_that_differ(first["run"]["arguments"], second["run"]["arguments"], both=foreign),
            *versions_that_differ(first, second),
        ],
        [doubt for each in reports.items() for doubt in doubts_of(*each)],
        [line for each in reports.items() for line in _meanings(*each)],
    )


def _difference(pair: _Pair, pairs: int, *, foreign: bool) -> Difference:
    """Return the difference of a pair. foreign: whether a figure is another tool's, which has no interval"""
    found = difference_of(
        pair.first, pair.second,
        comparisons=pairs, less_is_better=pair.less_is_better, correlation=pair.correlation,
    )  # fmt: skip
    return replace(found, verdict="no interval") if foreign and found.visible is None else found


def _meanings(name: str, report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the figures of another tool mean, and what of them is not compared."""
    if (tool := report.get("made_by")) is None:
        return
    yield f"{name} is a result of {tool.name} (read of {tool.read_of}); its own lateness: {tool.lateness}"
    for meaning in tool.meanings:
        beside = "" if meaning.ours is None else f", beside our {meaning.ours.replace('_', ' ')}"
        yield f"{tool.name}'s {meaning.theirs}{beside}: {meaning.about}"


def doubts_of(name: str, report: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a run is no measure of its server, a sentence each."""
    if report["client"] is None:
        yield f"{name} was broken off, and nothing is known of its client"
    elif report["client"]["saturated"]:
        yield f"{name} was limited by its client: {'; '.join(report['client']['reasons'])}"


def _pairs(
    first: Mapping[str, Any], second: Mapping[str, Any], alike: Mapping[tuple[str, str], float], *more: _Measure
) -> Iterator[_Pair]:
    for measure, label, percentiles in (*_MEASURES, *more):
        one, other = first["measures"][measure], second["measures"][measure]
        for name in percentiles:
            if one[name] is not None and other[name] is not None:
                yield _Pair(
                    f"{label} {name}", "s", _percentile(one, name), _percentile(other, name),
                    correlation=alike.get((measure, name), 0.0),
                )  # fmt: skip
    for rate, label, unit in _RATES:
        if first[rate] and second[rate]:
            yield _Pair(label, unit, _rate(first, rate), _rate(second, rate), less_is_better=False)
    if all(_ended(each) for each in (first, second)):
        yield _Pair("failed requests", "", _failed(first), _failed(second), correlation=alike.get(FAILED, 0.0))


def _percentile(row: Mapping[str, Any], name: str) -> Estimate:
    return Estimate(row[name], *row["ci95"][name])


def _rate(report: Mapping[str, Any], name: str) -> Estimate:
    return Estimate(report[name], *report.get("throughput_ci95", {}).get(name, (None, None)))


def _failed(report: Mapping[str, Any]) -> Estimate:
    return share_estimate(report["requests"]["failed"], _ended(report))


def _ended(report: Mapping[str, Any]) -> int:
    failed, succeeded = report["requests"]["failed"], report["requests"]["succeeded"]
    return int(failed + succeeded)


def options_that_differ(
    first: Mapping[str, Any], second: Mapping[str, Any], *, both: bool = False
) -> Iterator[tuple[str, str, str]]:
    """Yield the options in which runs differ. both: only those that both say something of"""
    known = flags()
    for name in dict.fromkeys((*first, *second)):
        if both and None in (first.get(name), second.get(name)):
            continue
        one, other = first.get(name), second.get(name)
        if _shown(one) != _shown(other) and name not in _NOT_THE_LOAD:
            yield known.get(name, name), _shown(one), _shown(other)


def versions_that_differ(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield what measured the runs, and which engines it looked at, where that differs."""
    one, other = ({**report["run"].get("versions", {}), **_engines(report)} for report in (first, second))
    for name in one.keys() & other.keys():
        if one[name] != other[name]:
            yield f"version of {name}" if name != "engine" else name, str(one[name]), str(other[name])


def _engines(report: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the engines whose metrics a run looked at; nothing of one that did not."""
    sources = (report.get("server") or {}).get("sources", ())
    found = sorted({source["engine"] for source in sources if source["engine"]})
    return {"engine": ", ".join(found)} if found else {}


def _shown(value: Any) -> str:
    return "not given" if value in (None, [], {}) else str(value)
