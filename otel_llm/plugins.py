"""`otel-llm plugins`: list the installed plugins, and mark those that cannot be used."""

import argparse
from typing import Final

from rich.markup import escape
from rich.table import Table

from otel_llm.entry_points import installed
from otel_llm.errors import PluginError
from otel_llm.instrumentation.libraries.adapter import ADAPTERS
from otel_llm.load.prompts.datasets import DATASETS
from otel_llm.load.show.report import console
from otel_llm.wire.discovery import PROTOCOLS, check

__all__ = ["add_arguments", "run"]

_GROUPS: Final = {"protocol": PROTOCOLS, "dataset": DATASETS, "adapter": ADAPTERS}
_UNCUT: Final = 1000
"""Columns where no terminal says how many there are: one line for each plugin, whole."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no option: the command has none."""


def run(_: argparse.Namespace) -> int:
    """Print a row for each plugin. Return 1 when one of them is broken, else 0."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("kind", "name", "from"):
        table.add_column(column, no_wrap=True)
    table.add_column("", overflow="fold")
    broken = 0
    for kind, group in _GROUPS.items():
        for name, point in installed(group).items():
            try:
                note = escape(check(group, point))
            except PluginError as error:
                broken, note = 1, f"[red]{escape(str(error))}[/]"
            table.add_row(kind, name, point.value, note)
    console(_UNCUT).print(table)
    return broken
