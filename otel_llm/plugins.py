"""`otel-llm plugins`: list the installed plugins, and mark those that cannot be used."""

import argparse
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint
from typing import Final, NamedTuple

from rich.markup import escape
from rich.table import Table

from otel_llm.entry_points import installed, load
from otel_llm.errors import PluginError
from otel_llm.instrumentation.libraries.adapter import Settings
from otel_llm.instrumentation.libraries.measuring import ADAPTERS
from otel_llm.load.prompts.datasets import DATASETS
from otel_llm.load.show.console import console
from otel_llm.wire.discovery import PROTOCOLS, describe_protocol

__all__ = ["add_arguments", "run"]

_OURS: Final = "otel-llm"
_UNCUT: Final = 1000
"""Columns where no terminal says how many there are: one line for each plugin, whole."""


class _Kind(NamedTuple):
    """One kind of plugin. describe: says in a line what one of them is; raises PluginError for one that is broken"""

    title: str
    group: str
    describe: Callable[[EntryPoint], str]


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
    owners: dict[str, dict[str, None]] = {}
    for target in targets:
        owners.setdefault(target.owner or target.module, {}).update(dict.fromkeys(target.names))
    return "; ".join(f"{owner}: {', '.join(_public(names))}" for owner, names in owners.items())


def _public(names: Iterable[str]) -> list[str]:
    """Return the names that a user of the library calls; all where he calls none of them by name."""
    found = list(names)
    return [name for name in found if not name.startswith("_") or name == "__call__"] or found


_KINDS: Final = (
    _Kind("protocols, for --protocol", PROTOCOLS, describe_protocol),
    _Kind("dataset formats, for --dataset-format", DATASETS, _describe_dataset),
    _Kind("libraries, for instrument() and otel-llm run", ADAPTERS, _describe_adapter),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no option: the command has none."""


def run(_: argparse.Namespace) -> int:
    """Print a row for each plugin. Return 1 when one of them is broken, else 0."""
    out, broken = console(_UNCUT), 0
    for kind in _KINDS:
        out.print(f"[bold]{kind.title}[/]")
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, point in installed(kind.group).items():
            try:
                note = escape(kind.describe(point) + _origin(point))
            except PluginError as error:
                broken, note = 1, f"[red]{escape(str(error))}[/]"
            table.add_row(f"  {escape(name)}", note)
        with out.capture() as said:
            out.print(table)
        print("\n".join(line.rstrip() for line in said.get().splitlines()))  # a table fills its rows with spaces
    return broken


def _origin(point: EntryPoint) -> str:
    """Return which package a plugin is from, unless it is ours."""
    if point.dist is None or point.dist.name == _OURS:
        return ""
    return f" (from {point.dist.name} {point.dist.version})"
