"""Whether this checkout is installed as its pyproject.toml says: an entry point counts once it is installed."""

import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

__all__ = ["differences"]

_PYPROJECT: Final = Path(__file__).parent.parent / "pyproject.toml"


def differences(pyproject: Path = _PYPROJECT, installed: Distribution | None = None) -> list[str]:
    """Return the entry points that one of the two has and the other has not, or has otherwise."""
    groups = tomllib.loads(pyproject.read_text("utf-8"))["project"]["entry-points"]
    declared = {(group, name, value) for group, points in groups.items() for name, value in points.items()}
    points = (installed or distribution("otel-llm")).entry_points
    found = {(point.group, point.name, point.value) for point in points if point.group != "console_scripts"}
    return sorted({f"{name} of {group}" for group, name, _ in declared ^ found})
