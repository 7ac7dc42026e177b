"""What a search came to: each point's outcome, and the bracket as it is printed."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from otel_llm.load.study.loads import Load, Loop
from otel_llm.load.study.search import Outcome

__all__ = ["OUTCOMES", "outcome_of", "print_bracket"]

OUTCOMES: Final[Mapping[str, str]] = {
    "holds": "it is certain that the SLO is kept",
    "breaks": "it is certain that the SLO is not kept, or the server did not keep up: its backlog grew all the time",
    "unsure": "the point ended before that was certain: a longer one may tell",
    "void": "this client was the limit: the point says nothing of the server",
}
_COLOURS: Final = {"holds": "green", "breaks": "red", "unsure": "yellow", "void": "yellow"}


def outcome_of(report: Mapping[str, Any]) -> tuple[Outcome, float]:
    """Return what came of a point, and the share of bad requests as far as it is known."""
    certainty, overload = report["slo"]["certainty"], report["load"]["overload"]
    allowed = 1 - report["slo"]["required_attainment"]
    bad = (certainty["requests"] - certainty["good"] + allowed / 2) / (certainty["requests"] + 1)
    grew = overload is not None and overload["overloaded"]
    if (grew and overload["by_client"]) or (report["client"]["saturated"] and not grew):
        return "void", bad
    if grew:
        return "breaks", max(bad, 0.5)
    return certainty["verdict"] or "unsure", bad


def print_bracket(
    found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], loop: Loop, console: Console, *, done: bool
) -> None:
    """Print the answer, then the points by load, then what it rests on."""
    requests, minutes = sum(row["requests"] for row in rows), sum(row["duration"] for row in rows) / 60
    console.print(f"[bold]{_answer(found, rows, loop)}[/]", soft_wrap=True)
    if found["holds"] is None and any(row["outcome"] == "unsure" for row in rows):
        console.print("[yellow]points were too short to be sure: give a longer --duration, or more with -n[/]")
    console.print(f"{len(rows)} points, {requests:,} requests, {minutes:,.1f} minutes of load", soft_wrap=True)
    if not done:
        console.print("[yellow]interrupted: the same command goes on[/]")
    if not rows:
        return
    console.print()
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for label in ("rate/s" if loop == "rate" else "parallel", "answered/s", "kept SLO", "goodput/s", "sent", "worth"):
        table.add_column(label, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in sorted(rows, key=lambda row: row["load"]):
        share = row["certainty"]["attainment"]
        table.add_row(
            f"{row['load']:g}", _number(row["request_throughput"]), "-" if share is None else f"{share:.2%}",
            _number(row["goodput"]), f"{row['requests']:,}", f"{row['certainty']['independent']:,.0f}",
            f"[{_COLOURS[row['outcome']]}]{row['outcome']}[/]",
        )  # fmt: skip
    console.print(table)
    console.print()
    console.print(
        "[dim]worth: independent requests that those looked at are worth, as one waits like the one before[/]"
    )
    for outcome in OUTCOMES:
        if any(row["outcome"] == outcome for row in rows):
            console.print(f"[{_COLOURS[outcome]}]{outcome}[/]  {OUTCOMES[outcome]}", soft_wrap=True)
    console.print(
        "[dim]assumed: what holds at a load holds at every lower one, and the server stays as it is meanwhile[/]",
        soft_wrap=True,
    )


def _answer(found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], loop: Loop) -> str:
    holds, breaks = found["holds"], found["breaks"]
    parts = ["holds for certain nowhere that was tried" if holds is None else f"holds at {Load(loop, holds)}"]
    if breaks is not None:
        parts.append(f"breaks at {Load(loop, breaks)}")
    elif limits := [row["load"] for row in rows if row["outcome"] == "void"]:
        parts.append(f"this client is the limit from {Load(loop, min(limits))}")
    else:
        parts.append("breaks nowhere that was tried")
    return f"{', '.join(parts)}  ({found['confidence']:.0%} sure)"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"
