"""The report of a sweep: what came out first, then a line for each point, then what each mark means."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console

from otel_llm.load.show.rows import milliseconds
from otel_llm.load.study.capacity import model_lines
from otel_llm.load.study.cells import coloured_table, per_second
from otel_llm.load.study.loads import Load, Loop
from otel_llm.load.study.rows import COLOURS, VERDICTS, limits_shown

__all__ = ["legend_of", "print_sweep", "summary_of", "sweep_table"]

_WIDE: Final = 120
_GOOD: Final = "ok"
_OF_TOKENS: Final = ("time_to_first_token", "inter_token_latency")
_NAMES: Final = {
    "time_to_first_token": ("TTFT", "time to first token"), "inter_token_latency": ("ITL", "inter-token latency"),
    "request_latency": ("latency", "how long an answer took"),
}  # fmt: skip
_PROVES_NOTHING: Final = "void"


def summary_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one sentence: up to which load everything was well, and what was the matter from which on.

    A load of several runs was well when all of them were. Points that the client limited say nothing.
    """
    judged = [row for row in rows if row["verdict"] != _PROVES_NOTHING]
    if not judged:
        return "no point says anything of the server"
    bad = [row for row in judged if row["verdict"] != _GOOD]
    loop = judged[0]["loop"]
    least = min((row["load"] for row in bad), default=None)
    good = max((row["load"] for row in judged if least is None or row["load"] < least), default=None)
    parts = [] if good is None else [f"all well up to {Load(loop, good)}"]
    if least is not None:
        why = ", ".join(dict.fromkeys(row["verdict"] for row in bad if row["load"] == least))
        parts.append(f"{why} from {Load(loop, least)}")
    return "; ".join(parts)


def print_sweep(
    answer: str,
    rows: Sequence[Mapping[str, Any]],
    model: Mapping[str, Any] | None,
    so_far: str | None,
    console: Console,
) -> None:
    """Print the answer, the model of the server and the points. so_far: how far it has come; None of a whole one"""
    console.print(f"[bold]{answer}[/]" if rows else answer, soft_wrap=True)
    if not rows:
        return
    for line in model_lines(model, rows[0]["loop"]) if model else ():
        console.print(line, soft_wrap=True)
    if so_far is not None:
        console.print(f"[yellow]{so_far}: the same command goes on[/]", soft_wrap=True)
    console.print()
    columns, lines = sweep_table(rows, intervals=console.width >= _WIDE)
    console.print(coloured_table(columns, lines, COLOURS))
    console.print()
    for line in legend_of(rows):
        sign, _, about = line.partition("  ")
        colour = "yellow" if sign == "*" else COLOURS.get(sign)
        console.print(f"[{colour}]{sign}[/]  {about}" if colour else line, soft_wrap=True)
        if sign == _PROVES_NOTHING:
            for reason in limits_shown(rows):
                console.print(f"      {reason}", soft_wrap=True)


def sweep_table(rows: Sequence[Mapping[str, Any]], *, intervals: bool) -> tuple[list[str], list[list[str]]]:
    """Return the table of a sweep as text: its columns, and the cells of each point, the verdict last."""
    measures, slo = _measures(rows), any(row["goodput"] is not None for row in rows)
    columns = ["rate/s" if rows[0]["loop"] == "rate" else "parallel", "answered/s"]
    for name in measures:
        columns += [f"{_NAMES[name][0]} p50", "p99", *(["95 %"] if intervals else [])]
    columns += [*(["goodput/s"] if slo else []), "sent", ""]
    return columns, [_cells(row, measures, slo=slo, intervals=intervals) for row in rows]


def _cells(row: Mapping[str, Any], measures: Sequence[str], *, slo: bool, intervals: bool) -> list[str]:
    cells = [f"{row['load']:g}", per_second(row["request_throughput"])]
    for name in measures:
        cells += [_ms(row[name], "p50"), _ms(row[name], "p99"), *([_interval(row[name])] if intervals else [])]
    return [*cells, *([per_second(row["goodput"])] if slo else []), f"{row['requests']:,}", row["verdict"]]


def _measures(rows: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """Return what the table shows: of answers without a first token, how long they took."""
    names = [name for name in _OF_TOKENS if any(row[name]["p50"] is not None for row in rows)]
    return names or ("request_latency",)


def legend_of(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what the columns and each mark in the table mean: a mark, two spaces, what it means."""
    loop = rows[0]["loop"]
    load = "rate: requests asked per second" if loop == "rate" else "parallel: requests in progress at any time"
    measures = _measures(rows)
    yield f"{load}; {'; '.join(_about(name, loop) for name in measures)}; in ms"
    seen = {row["verdict"] for row in rows}
    for verdict, about in VERDICTS.items():
        if verdict in seen - {_GOOD}:
            yield f"{verdict}  {about}"
    if any(row[name]["p99"] is not None and row[name]["ci95"]["p99"][1] is None for row in rows for name in measures):
        yield "*  too few independent values for this percentile: a longer point has an interval"
    if any(row[name]["p99"] is None and row[name]["infinite"] for row in rows for name in measures):
        yield "∞  among requests that were never answered"


def _about(name: str, loop: Loop) -> str:
    label, words = _NAMES[name]
    since = (
        ", from the moment a request was meant to be sent" if loop == "rate" and name != "inter_token_latency" else ""
    )
    return f"{label}, {words}{since}"


def _ms(measure: Mapping[str, Any], name: str) -> str:
    value = measure[name]
    if value is None:
        return "∞" if measure["infinite"] else "-"
    mark = "*" if name == "p99" and measure["ci95"][name][1] is None else ""
    return milliseconds(value) + mark


def _interval(measure: Mapping[str, Any]) -> str:
    low, high = measure["ci95"]["p99"]
    return "" if low is None or high is None else f"{milliseconds(low)} – {milliseconds(high)}"
