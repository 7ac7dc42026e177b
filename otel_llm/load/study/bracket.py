"""What a search came to: each point's outcome, and the bracket as it is printed."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console

from otel_llm.load.study.cells import coloured_table, per_second
from otel_llm.load.study.loads import Load, Loop
from otel_llm.load.study.rows import limits_shown
from otel_llm.load.study.search import Answer

__all__ = ["OUTCOMES", "answer_of", "bracket_table", "limit_line", "outcome_of", "print_bracket"]

OUTCOMES: Final[Mapping[str, str]] = {
    "holds": "it is certain that the SLO is kept",
    "breaks": "it is certain that the SLO is not kept, or the server did not keep up: its backlog grew all the time",
    "unsure": "the point ended before that was certain: a longer one may tell",
    "void": "this client was the limit: the point says nothing of the server",
}
WORTH: Final = "worth: independent requests that those looked at are worth, as one waits like the one before"
ASSUMED: Final = "assumed: what holds at a load holds at every lower one, and the server stays as it is meanwhile"
_FROM_DUE: Final = frozenset(("ttft", "latency"))
"""Terms of an SLO that, in an open loop, count from when a request was due."""
_COLOURS: Final = {"holds": "green", "breaks": "red", "unsure": "yellow", "void": "yellow"}


def outcome_of(load: float, report: Mapping[str, Any]) -> Answer:
    """Return what came of a load, by the report of its run."""
    certainty, overload = report["slo"]["certainty"], report["load"]["overload"]
    allowed = 1 - report["slo"]["required_attainment"]
    bad = (certainty["requests"] - certainty["good"] + allowed / 2) / (certainty["requests"] + 1)
    grew = overload is not None and overload["overloaded"]
    late = (
        report["client"]["saturated"] and not grew and not (certainty["verdict"] == "holds" and _lateness_adds(report))
    )
    if (grew and overload["by_client"]) or late:
        return Answer(load, "void", bad)
    if grew:
        return Answer(load, "breaks", max(bad, 0.5))
    return Answer(load, certainty["verdict"] or "unsure", bad, certainty["independent"])


def _lateness_adds(report: Mapping[str, Any]) -> bool:
    """Return whether this client's lateness can only have made worse what the SLO is about.

    It is so where each term counts from the moment at which a request was due: what is sent or read late is late in it.
    Gaps between tokens may look better where reads were merged, and a closed loop that is late has fewer in progress.
    """
    return report["run"]["arguments"]["rate"] is not None and _FROM_DUE.issuperset(report["slo"]["terms"])


def print_bracket(
    found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], loop: Loop, console: Console, *, done: bool
) -> None:
    """Print the answer, then the points by load, then what it rests on. found: the bracket and the limit"""
    console.print(f"[bold]{answer_of(found, rows, loop)}[/]", soft_wrap=True)
    if (limit := limit_line(found, loop)) is not None:
        console.print(limit, soft_wrap=True)
    outcomes = {row["outcome"] for row in rows}
    if "unsure" in outcomes and "holds" not in outcomes:
        console.print("[yellow]points were too short to be sure: give a longer --duration, or more with -n[/]")
    console.print(effort_of(rows), soft_wrap=True)
    if not done:
        console.print("[yellow]interrupted: the same command goes on[/]")
    if not rows:
        return
    console.print()
    columns, lines = bracket_table(rows, loop)
    console.print(coloured_table(columns, lines, _COLOURS))
    console.print()
    console.print(f"[dim]{WORTH}[/]")
    for outcome in OUTCOMES:
        if any(row["outcome"] == outcome for row in rows):
            console.print(f"[{_COLOURS[outcome]}]{outcome}[/]  {OUTCOMES[outcome]}", soft_wrap=True)
    for line in limits_shown(rows):
        console.print(f"      {line}", soft_wrap=True)
    console.print(f"[dim]{ASSUMED}[/]", soft_wrap=True)


def bracket_table(rows: Sequence[Mapping[str, Any]], loop: Loop) -> tuple[list[str], list[list[str]]]:
    """Return the table of a search as text, by load: its columns, and the cells of each point, the outcome last."""
    columns = ["rate/s" if loop == "rate" else "parallel", "answered/s", "kept SLO", "goodput/s", "sent", "worth", ""]
    return columns, [
        [
            f"{row['load']:g}", per_second(row["request_throughput"]), _share(row["certainty"]["attainment"]),
            per_second(row["goodput"]), f"{row['requests']:,}", f"{row['certainty']['independent']:,.0f}",
            row["outcome"],
        ]
        for row in sorted(rows, key=lambda row: row["load"])
    ]  # fmt: skip


def effort_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what a study took."""
    requests, minutes = sum(row["requests"] for row in rows), sum(row["duration"] for row in rows) / 60
    return f"{len(rows)} points, {requests:,} requests, {minutes:,.1f} minutes of load"


def answer_of(found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], loop: Loop) -> str:
    """Return the bracket in one sentence. found: `holds`, `breaks`, `confidence` and `limit`"""
    holds, breaks = found["holds"], found["breaks"]
    parts = ["holds for certain nowhere that was tried" if holds is None else f"holds at {Load(loop, holds)}"]
    if breaks is not None:
        parts.append(f"breaks at {Load(loop, breaks)}")
    elif limits := [load for load, outcome in _last(rows).items() if outcome == "void"]:
        parts.append(f"this client is the limit from {Load(loop, min(limits))}")
    else:
        parts.append("breaks nowhere that was tried")
    return f"{', '.join(parts)}  ({found['confidence']:.0%} sure)"


def _last(rows: Sequence[Mapping[str, Any]]) -> dict[float, str]:
    """Return each load's outcome, of one that was tried again the last."""
    return {row["load"]: row["outcome"] for row in rows}


def limit_line(found: Mapping[str, Any], loop: Loop) -> str | None:
    """Return where the limit most likely is, as a sentence; None where the points do not say."""
    if found["limit"] is None:
        return None
    at, low, high = (float(f"{each:.4g}") for each in (found["limit"], *found["limit_ci95"]))
    return (
        f"the limit is most likely at {Load(loop, at)}, between {low:g} and {high:g}  ({found['confidence']:.0%} sure)"
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"
