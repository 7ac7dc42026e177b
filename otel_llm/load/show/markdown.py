"""Tables in Markdown, as GitHub and GitLab read it, of texts that are shown as they are."""

from collections.abc import Iterable, Sequence

from otel_llm.visible import on_one_line

__all__ = ["in_cell", "table"]


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. The first column is aligned to the left, the others are numbers."""
    lines = [map(in_cell, columns), ["---", *["---:"] * (len(columns) - 1)], *(map(in_cell, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def in_cell(text: str) -> str:
    """Return text that Markdown shows as it is, on one line, also in a cell of a table.

    >>> in_cell("a|b")
    'a\\\\|b'
    """
    text = on_one_line(text)
    for sign in "\\`*_{}[]<>#|~":
        text = text.replace(sign, f"\\{sign}")
    return text
