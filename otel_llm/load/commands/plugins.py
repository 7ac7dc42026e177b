"""`otel-llm plugins`: what is installed, and what of it cannot be used."""

import argparse
from typing import Final

from rich.console import Console
from rich.table import Table

from otel_llm.entry_points import installed
from otel_llm.errors import PluginError
from otel_llm.wire.discovery import PROTOCOLS, check

__all__ = ["add_arguments", "run"]

_GROUPS: Final = {"protocols": PROTOCOLS, "datasets": "otel_llm.datasets"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: there is nothing to choose."""


def run(_: argparse.Namespace) -> int:
    """Print a line for each plugin; return 1 when one of them is broken."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("kind", "name", "from", ""):
        table.add_column(column)
    broken = 0
    for label, group in _GROUPS.items():
        for name, point in installed(group).items():
            note = ""
            try:
                note = check(group, point)
            except PluginError as error:
                broken, note = 1, f"[red]{error}[/]"
            table.add_row(label.rstrip("s"), name, point.value, note)
    Console().print(table)
    return broken
