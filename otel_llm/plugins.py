"""`otel-llm plugins`: list the installed plugins, and mark those that cannot be used."""

import argparse
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from typing import Final

from rich.markup import escape
from rich.table import Table

from otel_llm.entry_points import installed, load
from otel_llm.errors import PluginError
from otel_llm.instrumentation.libraries.adapter import ADAPTERS, Settings
from otel_llm.load.prompts.datasets import DATASETS
from otel_llm.load.show.report import console
from otel_llm.wire.discovery import PROTOCOLS, describe_protocol

__all__ = ["add_arguments", "run"]

_UNCUT: Final = 1000
"""Columns where no terminal says how many there are: one line for each plugin, whole."""


def _describe_dataset(point: EntryPoint) -> str:
    return (load(point).__doc__ or "").partition("\n")[0]


def _describe_adapter(point: EntryPoint) -> str:
    """Return the functions that are measured, in the library's own words."""
    try:
        targets = list(load(point)(Settings()))
    except Exception as error:
        raise PluginError(
            f"adapter {point.name} to say what it measures", f"{type(error).__name__}: {error}"
        ) from error
    return ", ".join(dict.fromkeys(f"{each.owner or each.module}.{name}" for each in targets for name in each.names))


_GROUPS: Final[Mapping[str, tuple[str, Callable[[EntryPoint], str]]]] = {
    "protocol": (PROTOCOLS, describe_protocol),
    "dataset": (DATASETS, _describe_dataset),
    "adapter": (ADAPTERS, _describe_adapter),
}
"""Kind: (entry point group, what describes one of it)"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no option: the command has none."""


def run(_: argparse.Namespace) -> int:
    """Print a row for each plugin. Return 1 when one of them is broken, else 0."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("kind", "name", "from"):
        table.add_column(column, no_wrap=True)
    table.add_column("", overflow="fold")
    broken = 0
    for kind, (group, describe) in _GROUPS.items():
        for name, point in installed(group).items():
            try:
                note = escape(describe(point))
            except PluginError as error:
                broken, note = 1, f"[red]{escape(str(error))}[/]"
            table.add_row(kind, name, point.value, note)
    console(_UNCUT).print(table)
    return broken
