"""A comparison of two searches, by the limits that they found: `otel-llm find`, before and after."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from otel_llm.errors import ConfigError
from otel_llm.load.compare.comparison import Compared, Comparison
from otel_llm.load.compare.difference import difference_of
from otel_llm.load.compare.differing import options_that_differ, versions_that_differ
from otel_llm.load.compare.estimate import Estimate
from otel_llm.load.study.bracket import limit_line
from otel_llm.load.study.result import StudyResult

__all__ = ["compare_limits", "report_of_search"]

_OF_A_POINT: Final = frozenset(("rate", "parallel", "until_certain"))
_UNITS: Final = {"rate": "1/s", "parallel": "in parallel"}


def compare_limits(names: tuple[str, str], first: StudyResult, second: StudyResult) -> Comparison:
    """Return how far the limit of the second search lies from that of the first, both known with their intervals.

    Raises ConfigError for searches of rate and of concurrency, and for one that found neither a limit nor a bracket.
    """
    searches = dict(zip(names, (first, second), strict=True))
    if first.plan["loop"] != second.plan["loop"]:
        loops = " and ".join(f"{name} ({study.plan['loop']})" for name, study in searches.items())
        raise ConfigError("searches of one kind of load", loops, "compare --rate with --rate")
    one, other = (_limit(name, study) for name, study in searches.items())
    difference = difference_of(one, other, comparisons=1, less_is_better=False)
    reports = [report_of_search(study) for study in searches.values()]
    arguments = [_arguments(report) for report in reports]
    return Comparison(
        *names,
        runs=(1, 1),
        at=None,
        compared=[Compared("limit", _UNITS[first.plan["loop"]], one, other, difference)],
        paired=None,
        differs=[*options_that_differ(*arguments), *versions_that_differ(*reports)],
        doubts=list(_doubts(searches)),
        meanings=[line for search in searches.items() for line in _lines(*search)],
    )


def report_of_search(study: StudyResult) -> Mapping[str, Any]:
    """Return the report of the first run of a search, with the requests that all of them sent."""
    run = study.run or {}
    return {**run, "requests": {**run["requests"], "sent": sum(row["requests"] for row in study.rows)}}


def _doubts(searches: Mapping[str, StudyResult]) -> Iterator[str]:
    held_to = {name: _objective(study) for name, study in searches.items()}
    if len(set(held_to.values())) > 1:
        yield f"they held the server to other SLOs: {' and '.join(f'{name} to {slo}' for name, slo in held_to.items())}"


def _objective(study: StudyResult) -> str:
    """Return what a search held the server to, such as `ttft 0.3 s for 99%`."""
    slo = report_of_search(study)["slo"]
    terms = [f"{name} {term['limit']:g} s" for name, term in slo["terms"].items()]
    return f"{', '.join(terms)} for {slo['required_attainment'] * 100:g}%"


def _limit(name: str, study: StudyResult) -> Estimate:
    """Return the limit; where the points do not say more than the bracket, its middle."""
    found = study.bracket or {}
    if found["limit"] is not None:
        return Estimate(found["limit"], *found["limit_ci95"])
    low, high = found["holds"], found["breaks"]
    if low is None or high is None:
        raise ConfigError("a search that found a limit", f"{name} ({study.answer})", "let it go on, or try other loads")
    return Estimate(math.sqrt(low * high), low, high)


def _arguments(report: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report["run"]["arguments"].items() if name not in _OF_A_POINT}


def _lines(name: str, study: StudyResult) -> Iterator[str]:
    """Yield what a search says of itself."""
    limit = limit_line(study.bracket or {}, study.plan["loop"])
    middle = "; its points say no more, so the middle of these stands for the limit" if limit is None else ""
    stopped = "" if study.whole else "; it was stopped before its end"
    yield f"{name} {study.answer}{middle}{stopped}"
