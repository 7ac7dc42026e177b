"""What is installed under an entry point group, by name: protocols, datasets, and whatever else a package may bring.

A plugin is loaded when it is asked for, so that one which does not import breaks nobody who does not use it.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from otel_llm.errors import PluginError

__all__ = ["installed", "load"]


def installed(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name, in alphabetical order."""
    return {point.name: point for point in sorted(entry_points(group=group))}


def load(point: EntryPoint) -> Any:
    """Return what an entry point names. Raises PluginError when it does not import."""
    try:
        return point.load()
    except Exception as error:
        raise PluginError(f"plugin {point.name} ({point.value}) to import", error) from error
