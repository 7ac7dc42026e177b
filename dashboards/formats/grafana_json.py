"""The boards as JSON files, as Grafana imports and provisions them: those that are installed with this package."""

from collections.abc import Mapping
from importlib.resources import files

__all__ = ["installed_boards"]


def installed_boards() -> Mapping[str, str]:
    """Return the JSON of each board by its file name."""
    found = sorted(files("otel_llm_dashboards").joinpath("grafana").iterdir(), key=lambda file: file.name)
    return {board.name: board.read_text("utf-8") for board in found if board.name.endswith(".json")}
