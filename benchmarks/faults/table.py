"""The fault matrix as a Markdown table, and its place in a page."""

from collections.abc import Sequence
from typing import Final

from benchmarks.faults.running import Outcome

__all__ = ["table", "written"]

_BEGIN: Final = "<!-- the fault matrix: python -m benchmarks.faults --write -->"
_END: Final = "<!-- end of the fault matrix -->"
_COLUMNS: Final = (
    "fault",
    "moment",
    "loop",
    "exit code",
    "report",
    "seen",
    "sent",
    "rows",
    "s to the end",
    "as expected",
)


def table(outcomes: Sequence[Outcome]) -> str:
    """Return a row for each cell, under a head."""
    lines = [_line(_COLUMNS), _line(["---"] * len(_COLUMNS))]
    for one in outcomes:
        wrong = f"**no**: {', '.join(one.wrong)}" if one.wrong else "yes"
        report = "yes" if one.report else "no"
        counts = [str(one.seen), _number(one.sent), _number(one.rows)]
        cell = one.cell
        head = [cell.fault, cell.moment, cell.loop, str(one.code), report]
        lines.append(_line([*head, *counts, f"{one.seconds:.1f}", wrong]))
    return "\n".join(lines)


def written(page: str, text: str) -> str:
    """Return the page with the text between its two marks."""
    before, rest = page.split(_BEGIN)
    _, after = rest.split(_END)
    return f"{before}{_BEGIN}\n{text}\n{_END}{after}"


def _line(parts: Sequence[str]) -> str:
    return f"| {' | '.join(parts)} |"


def _number(value: int | None) -> str:
    return "none" if value is None else str(value)
