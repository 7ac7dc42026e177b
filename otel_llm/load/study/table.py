"""The report of a sweep: what came out first, then a line for each point, then what each mark means."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from otel_llm.load.study.loads import Load
from otel_llm.load.study.rows import VERDICTS

__all__ = ["print_sweep", "summary_of"]

_WIDE: Final = 120
_COLOURS: Final = {"ok": "green", "missed": "red", "errors": "red", "overload": "bold red", "void": "yellow"}
_GOOD: Final = "ok"
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


def print_sweep(rows: Sequence[Mapping[str, Any]], planned: int, console: Console) -> None:
    """Print the points so far of as many as were planned."""
    if not rows:
        console.print("no point has ended")
        return
    console.print(f"[bold]{summary_of(rows)}[/]", soft_wrap=True)
    if len(rows) < planned:
        console.print(f"[yellow]{len(rows)} of {planned} points: the same command goes on[/]", soft_wrap=True)
    console.print()
    wide, slo = console.width >= _WIDE, any(row["goodput"] is not None for row in rows)
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    load = "rate/s" if rows[0]["loop"] == "rate" else "parallel"
    for label in (load, "answered/s", "TTFT p50", "p99", *(("95 %",) if wide else ()), "ITL p50", "p99"):
        table.add_column(label, justify="right", no_wrap=True)
    if wide:
        table.add_column("95 %", justify="right", no_wrap=True)
    if slo:
        table.add_column("goodput/s", justify="right", no_wrap=True)
    table.add_column("sent", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        cells = [f"{row['load']:g}", _rate(row["request_throughput"])]
        for name in ("time_to_first_token", "inter_token_latency"):
            cells += [_ms(row[name], "p50"), _ms(row[name], "p99")]
            if wide:
                cells.append(_interval(row[name]))
        if slo:
            cells.append(_rate(row["goodput"]))
        verdict = row["verdict"]
        table.add_row(*cells, f"{row['requests']:,}", f"[{_COLOURS[verdict]}]{verdict}[/]")
    console.print(table)
    console.print()
    for line in _legend(rows):
        console.print(line, soft_wrap=True)


def _legend(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what the columns and each mark that was printed mean."""
    loop = rows[0]["loop"]
    load = "rate: requests asked per second" if loop == "rate" else "parallel: requests in progress at any time"
    since = ", from the moment a request was meant to be sent" if loop == "rate" else ""
    yield f"[dim]{load}; TTFT, time to first token{since}; ITL, inter-token latency; both in ms[/]"
    seen = {row["verdict"] for row in rows}
    for verdict, about in VERDICTS.items():
        if verdict in seen - {_GOOD}:
            yield f"[{_COLOURS[verdict]}]{verdict}[/]  {about}"
    names = ("time_to_first_token", "inter_token_latency")
    if any(row[name]["p99"] is not None and row[name]["ci95"]["p99"][1] is None for row in rows for name in names):
        yield "[yellow]*[/]  too few independent values for this percentile: a longer point has an interval"
    if any(row[name]["p99"] is None and row[name]["infinite"] for row in rows for name in names):
        yield "∞  among requests that were never answered"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def _ms(measure: Mapping[str, Any], name: str) -> str:
    value = measure[name]
    if value is None:
        return "∞" if measure["infinite"] else "-"
    mark = "[yellow]*[/]" if name == "p99" and measure["ci95"][name][1] is None else ""
    return _digits(value * 1e3) + mark


def _interval(measure: Mapping[str, Any]) -> str:
    low, high = measure["ci95"]["p99"]
    return "" if low is None or high is None else f"[dim]{_digits(low * 1e3)} – {_digits(high * 1e3)}[/]"


def _digits(ms: float) -> str:
    return f"{ms:,.0f}" if ms >= 1000 else f"{ms:.1f}" if ms >= 100 else f"{ms:.2f}"
