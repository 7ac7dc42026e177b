"""Where results are printed."""

from typing import Final

from rich.console import Console

__all__ = ["WIDE", "console"]

WIDE: Final = 120
"""Columns that the whole table takes; on a narrower terminal it goes without the interval."""


def console(width: int = WIDE) -> Console:
    """Return where results are printed: as wide as the terminal, or `width` columns where there is none."""
    there = Console(highlight=False)
    return there if there.is_terminal else Console(highlight=False, width=width)
