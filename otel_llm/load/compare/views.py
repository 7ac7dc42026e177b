"""A comparison as people read it: in the terminal, and in Markdown for a pull request. Nothing is computed here."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from otel_llm.load.compare.comparison import Compared, Comparison
from otel_llm.load.compare.difference import Verdict
from otel_llm.load.show.markdown import in_cell, table
from otel_llm.load.show.rows import milliseconds
from otel_llm.visible import on_one_line

__all__ = ["HOW_TO_READ", "cells_of", "columns_of", "lines_of", "markdown_of", "print_comparison"]

HOW_TO_READ: Final = (
    "Differences are of the second run less the first, with 95 % intervals. `better` and `worse` hold among all "
    "figures of the table; `perhaps` would hold for that figure alone, and one in twenty does by chance. `visible` is "
    "the smallest difference that four of five such comparisons find."
)
_STYLES: Final[Mapping[Verdict, str]] = {
    "worse": "bold red", "better": "bold green", "perhaps worse": "red", "perhaps better": "green",
    "no evidence": "dim", "too few values": "yellow", "no interval": "dim",
}  # fmt: skip


def print_comparison(comparison: Comparison, out: Console) -> None:
    """Print a comparison."""
    shown = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for column in columns_of(comparison):
        shown.add_column(escape(column), justify="right" if shown.columns else "left", no_wrap=not shown.columns)
    for each in comparison.compared:
        cells = [escape(cell) for cell in cells_of(each)]
        cells[-1] = f"[{_STYLES[each.difference.verdict]}]{cells[-1]}[/]"
        shown.add_row(*cells)
    out.print()
    if comparison.at is not None:
        out.print(f"[bold]{escape(on_one_line(comparison.title))}[/]", soft_wrap=True)
    out.print(shown)
    out.print()
    for line in lines_of(comparison):
        out.print(f"[yellow]note[/]  {escape(line)}", highlight=False, soft_wrap=True)


def markdown_of(comparisons: Sequence[Comparison]) -> str:
    """Return comparisons as Markdown, a table each."""
    parts = []
    for comparison in comparisons:
        columns = columns_of(comparison)
        rows = table(columns, map(cells_of, comparison.compared))
        notes = "\n".join(f"- {in_cell(line)}" for line in lines_of(comparison))
        parts.append(f"### {in_cell(comparison.title)}\n\n{rows}\n\n{notes}\n")
    return "\n".join([*parts, HOW_TO_READ, ""])


def columns_of(comparison: Comparison) -> list[str]:
    """Return the columns of the table."""
    return [
        "",
        on_one_line(comparison.first),
        on_one_line(comparison.second),
        "difference",
        "95 %",
        "visible",
        "verdict",
    ]


def cells_of(each: Compared) -> list[str]:
    """Return the cells of a figure, the verdict last."""
    difference = each.difference
    share = f" ({difference.share:+.1%})".replace("-", "−") if difference.share is not None else ""
    low, high = (None if end is None else _signed(end, each.unit) for end in (difference.low, difference.high))
    reach = "–" if low is high is None else f"below {high}" if low is None else f"above {low}" if high is None else ""
    return [
        f"{each.figure}, {_UNITS[each.unit]}",
        _shown(each.first.value, each.unit),
        _shown(each.second.value, each.unit),
        f"{_signed(difference.by, each.unit)}{share}",
        reach or f"{low} … {high}",
        "–" if difference.visible is None else _shown(difference.visible, each.unit),
        difference.verdict,
    ]


_UNITS: Final = {"s": "ms", "1/s": "1/s", "in parallel": "in parallel", "": "%"}


def _shown(value: float, unit: str) -> str:
    return milliseconds(value) if unit == "s" else f"{value:,.4g}" if unit else f"{value * 100:.2f}"


def _signed(value: float, unit: str) -> str:
    return f"{'−' if value < 0 else '+'}{_shown(abs(value), unit)}"


def lines_of(comparison: Comparison) -> Iterator[str]:
    """Yield what to know before believing it, a line each."""
    yield from map(on_one_line, (*comparison.doubts, *comparison.meanings))
    if max(comparison.runs) > 1:
        one, other = (
            f"{name} {'the mean of' if count > 1 else 'is'} {count} run{'s' if count > 1 else ''}"
            for name, count in zip((comparison.first, comparison.second), comparison.runs, strict=True)
        )
        yield on_one_line(f"{one}, {other}: the intervals are as wide as runs of one load differ")
    if comparison.paired is not None:
        yield f"{comparison.paired:,} requests sent the same prompt in both runs: the intervals are of pairs"
    if comparison.differs:
        options = "; ".join(f"{name}: {one} and {other}" for name, one, other in comparison.differs)
        yield on_one_line(f"the runs did not do the same, and what differs may come from that: {options}")
