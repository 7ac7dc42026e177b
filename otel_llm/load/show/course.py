"""The lines of a printed report about the course of a run: its load, its steady part, what its end cut off."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.table import Table

from otel_llm.percentiles import BRIEF, percentile_name

__all__ = ["course_lines", "slices_table"]

_NAMES: Final = tuple(map(percentile_name, BRIEF))


def course_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines, marked up; nothing of what the run does not have."""
    if (load := report.get("load")) and load["asked"] is not None:
        yield from _load(load)
    if steady := report.get("steady"):
        yield (
            f"steady  from {steady['since']:,.1f} to {steady['until']:,.1f} s, {steady['requests']:,} requests, "
            f"{_rate(steady['request_throughput'])}{_times(steady)}"
        )
    if cut := report.get("cut_off"):
        yield (
            f"cut off  {cut['requests']:,} requests, the longest after {cut['longest']:,.4g} s; taken for longer than "
            f"that{_times(cut, '> all seen')}"
        )


def slices_table(slices: Mapping[str, Any]) -> Table:
    """Return a table with a row for each slice of a run; times in ms."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    times = [f"{label} {name}" for label in ("TTFT", "latency") for name in ("p50", "p99")]
    for column in ("from s", "asked", "sent", "answered", "failed", "in progress", *times):
        table.add_column(column, justify="right", no_wrap=True)
    for each in slices["slices"]:
        counts = (f"{each[name]:,}" for name in ("asked", "sent", "answered", "failed", "under_way"))
        values = (each[name][q] for name in ("time_to_first_token", "request_latency") for q in ("p50", "p99"))
        table.add_row(f"{each['at']:g}", *counts, *("-" if v is None else f"{v * 1e3:,.1f}" for v in values))
    return table


def _load(load: Mapping[str, Any]) -> Iterator[str]:
    parts = [f"{word} {_rate(load[name])}" for word, name in (("asked", "asked"), ("sent", "offered"))]
    late = load["schedule_error"]
    lateness = "" if late is None else "  [dim]sent late by, ms p50 / p99 / max:  {} / {} / {}[/]".format(
        *(f"{late[name] * 1e3:,.3f}" for name in ("p50", "p99", "max"))
    )  # fmt: skip
    yield f"load  {', '.join(parts)}, answered {_rate(load['achieved'])}{lateness}"
    if (verdict := load["overload"]) is None or not verdict["overloaded"]:
        return
    (before, after), (first, last) = verdict["backlog"], verdict["latency"]
    who = "this client kept them back" if verdict["by_client"] else "the server did not keep up"
    grew = "" if first is None or last is None else f", and latencies from {first:,.4g} to {last:,.4g} s"
    yield (
        f"[bold red]overload[/]  asked {_rate(verdict['asked'])}, ended {_rate(verdict['ended'])}: {who}; requests "
        f"without an answer grew from {before:,} to {after:,}{grew}"
    )


def _rate(per_s: float | None) -> str:
    return "-" if per_s is None else f"{per_s:,.0f}/s" if per_s >= 1000 else f"{per_s:.3g}/s"


def _times(figures: Mapping[str, Any], beyond: str = "-") -> str:
    """Return the percentiles of the first token and of the latency, in ms, as far as there are any."""
    found = ""
    for name, label in (("time_to_first_token", "TTFT"), ("request_latency", "latency")):
        if figures[name]["count"]:
            values = (figures[name][each] for each in _NAMES)
            shown = " / ".join(beyond if value is None else f"{value * 1e3:,.1f}" for value in values)
            found += f"  ·  {label} {shown}"
    return f"[dim]{found}  ms {' / '.join(_NAMES)}[/]" if found else ""
