"""A comparison of runs, made of their reports: each figure with its difference, and what else differs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from otel_llm.load.compare.difference import Difference, difference_of
from otel_llm.load.compare.differing import options_that_differ, versions_that_differ
from otel_llm.load.compare.estimate import Estimate
from otel_llm.load.compare.figures import Figure, figures_of
from otel_llm.load.compare.pairing import Paired
from otel_llm.load.compare.repeats import mean_of_runs, spread_between, within_runs

__all__ = ["Compared", "Comparison", "Report", "compare", "doubts_of"]

Report = Mapping[str, Any]
"""A report as `--json` writes it."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure of both. unit: `s`, `1/s`, `in parallel`, or "" for a share of requests"""

    figure: str
    unit: str
    first: Estimate
    second: Estimate
    difference: Difference


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs beside each other, or two groups of runs of one load each.

    first, second: what they are called
    runs:          how many runs each of them is
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
    runs: tuple[int, int]
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


def compare(
    names: tuple[str, str],
    first: Sequence[Report],
    second: Sequence[Report],
    paired: Paired | None = None,
    at: str | None = None,
) -> Comparison:
    """Return what the second has more than the first.

    first, second: runs of one load each; paired: how alike they are, where two runs sent the same prompts
    at: the load of both, where they are of studies
    """
    groups = dict(zip(names, (first, second), strict=True))
    foreign = any(report.get("made_by") for group in groups.values() for report in group)
    one, other = (_figures(group, means=foreign) for group in groups.values())
    common = [name for name in one if name in other]
    alike = {} if paired is None else paired.correlations
    return Comparison(
        *names,
        (len(first), len(second)),
        at,
        [_compared(one[name], other[name], alike, len(common), foreign=foreign) for name in common],
        None if paired is None else paired.requests,
        [
            *options_that_differ(first[0]["run"]["arguments"], second[0]["run"]["arguments"], both=foreign),
            *versions_that_differ(first[0], second[0]),
        ],
        [doubt for each in groups.items() for doubt in doubts_of(*each)],
        [line for name, group in groups.items() for line in _meanings(name, group[0])],
    )


def _figures(group: Sequence[Report], *, means: bool) -> dict[str, list[Figure]]:
    """Return the figures that all runs of a group have, by name."""
    runs = [{figure.name: figure for figure in figures_of(report, means=means)} for report in group]
    return {name: [run[name] for run in runs] for name in runs[0] if all(name in run for run in runs)}


def _compared(
    first: Sequence[Figure],
    second: Sequence[Figure],
    alike: Mapping[tuple[str, str], float],
    comparisons: int,
    *,
    foreign: bool,
) -> Compared:
    """Return the comparison of a figure. foreign: whether one is another tool's, which has no interval"""
    name, unit, _, key, less_is_better, _ = first[0]
    one, other = ([figure.estimate for figure in group] for group in (first, second))
    enough = all(figure.enough for figure in (*first, *second))
    found = difference_of(
        within_runs(one), within_runs(other),
        comparisons=comparisons, less_is_better=less_is_better, correlation=alike.get(key, 0.0) if key else 0.0,
        spread=spread_between(one, other) if enough and not foreign else None,
    )  # fmt: skip
    if foreign and found.visible is None:
        found = replace(found, verdict="no interval")
    mean = mean_of_runs if enough else within_runs
    return Compared(name, unit, mean(one), mean(other), found)


def _meanings(name: str, report: Report) -> Iterator[str]:
    """Yield what the figures of another tool mean, and what of them is not compared."""
    if (tool := report.get("made_by")) is None:
        return
    yield f"{name} is a result of {tool.name} (read of {tool.read_of}); its own lateness: {tool.lateness}"
    for meaning in tool.meanings:
        beside = "" if meaning.ours is None else f", beside our {meaning.ours.replace('_', ' ')}"
        yield f"{tool.name}'s {meaning.theirs}{beside}: {meaning.about}"


def doubts_of(name: str, group: Sequence[Report]) -> Iterator[str]:
    """Yield why runs are no measure of their server, a sentence each."""
    for at, report in enumerate(group, 1):
        called = name if len(group) == 1 else f"run {at} of {name}"
        if report["client"] is None:
            yield f"{called} was broken off, and nothing is known of its client"
        elif report["client"]["saturated"]:
            yield f"{called} was limited by its client: {'; '.join(report['client']['reasons'])}"
