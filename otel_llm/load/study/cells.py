"""What the tables of a sweep and of a search have in common."""

from collections.abc import Mapping, Sequence

from rich.table import Table

__all__ = ["coloured_table", "per_second"]


def coloured_table(columns: Sequence[str], lines: Sequence[Sequence[str]], colours: Mapping[str, str]) -> Table:
    """Return the table of a study for a terminal; colours: of what stands in the last column"""
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for *cells, last in lines:
        marked = [f"{cell[:-1]}[yellow]*[/]" if cell.endswith("*") else cell for cell in cells]
        table.add_row(*marked, f"[{colours[last]}]{last}[/]")
    return table


def per_second(value: float | None) -> str:
    """Return a rate as text, with three digits; a dash of none."""
    return "-" if value is None else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"
