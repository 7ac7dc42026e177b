"""Where the first tokens' time went, as a table: the same cells in the terminal and on the page."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from rich.table import Table

from otel_llm.first_token_split import SPLIT
from otel_llm.load.show.rows import milliseconds

__all__ = ["PART_COLUMNS", "PartRow", "part_rows", "said_by", "split_table"]

PART_COLUMNS: Final = ("mean", "share", "of the slowest 5 %", "share")

_LABELS: Final = {
    "outside": "network and proxies",
    "queue": "queue",
    "load": "loading the model",
    "prefill": "prefill, with its first token",
    "unexplained": "unexplained",
    "whole": "time to first token",
}
_ALWAYS: Final = ("unexplained", "whole")


class PartRow(NamedTuple):
    """A part of the first token's time; `cells` are those of `PART_COLUMNS`."""

    label: str
    cells: tuple[str, ...]


def part_rows(first: Mapping[str, Any]) -> Iterator[PartRow]:
    """Yield the parts that some server told, what they leave over, and the whole. first: `first_token` of a report"""
    mean, slow = first["mean"], first["slowest"]
    for name in (*SPLIT, "whole"):
        if name in _ALWAYS or first["told"][name]:
            cells = [cell for group in (mean, slow) for cell in (_ms(group[name]), _share(group[name], group["whole"]))]
            yield PartRow(_LABELS[name], tuple(cells))


def said_by(first: Mapping[str, Any]) -> str:
    """Return whose words it is made of."""
    of = first["requests"] + first["without"]
    some = "" if not first["without"] else f"; {first['without']:,} of {of:,} answers say nothing"
    unsaid = [_LABELS[name] for name in ("outside", "queue", "prefill") if not first["told"][name]]
    lacks = f"; nobody tells {' and '.join(unsaid)}: what is unexplained holds that" if unsaid else ""
    late = f"; own lateness before sending, in no first token: {_ms(first['lateness'])} ms"
    return f"as said by {', '.join(first['sources'])} of {first['requests']:,} answers{some}{lacks}{late}"


def split_table(first: Mapping[str, Any]) -> Table:
    """Return the table for a terminal."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column("first token, ms", no_wrap=True)
    for column in PART_COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for row in part_rows(first):
        table.add_row(row.label, *row.cells)
    return table


def _ms(seconds: float) -> str:
    return milliseconds(seconds) if seconds >= 0 else f"-{milliseconds(-seconds)}"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "-"
