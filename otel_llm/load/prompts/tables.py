"""Read prompts from tables: choose the column, and turn a cell into a prompt."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from otel_llm.errors import ConfigError

__all__ = ["USUAL", "import_pyarrow", "pick_column", "prompt_of_cell"]

USUAL: Final = ("prompt", "question", "instruction", "messages", "text", "input", "query", "turns")
"""Columns that are read when none is named: the first of these that exists."""

_OF_TRACES: Final = frozenset(("timestamp", "hash_ids", "resourcespans"))


def pick_column(columns: Iterable[str], wanted: str | None, place: object) -> str:
    """Return the wanted column, or without one the first usual one. Raises ConfigError when there is none."""
    present = list(columns)
    found = wanted if wanted in present else None if wanted else next((c for c in USUAL if c in present), None)
    if found is None:
        expected = f"column {wanted!r}" if wanted else f"a column out of {', '.join(USUAL)}"
        trace = _OF_TRACES & {name.casefold() for name in present}
        next_step = "a trace goes after --trace" if trace else "name one with the dataset option column=NAME"
        raise ConfigError(f"{expected} in {place}", present, next_step)
    return found


def prompt_of_cell(cell: Any, place: object) -> str | Sequence[dict[str, Any]] | None:
    """Return a cell as a prompt, text or messages; None for an empty cell. Raises ConfigError for anything else."""
    if cell is None or (isinstance(cell, str) and not cell.strip()) or cell == []:
        return None
    if isinstance(cell, list) and isinstance(cell[0], str):  # turns of one user, of which the first opens
        cell = cell[0]
    if isinstance(cell, str):
        return cell
    if isinstance(cell, list) and all(isinstance(message, dict) and "role" in message for message in cell):
        return [{key: value for key, value in message.items() if value is not None} for message in cell]
    raise ConfigError(f"text or messages at {place}", cell, "choose another with the dataset option column=NAME")


def import_pyarrow(place: object) -> Any:
    """Return the package pyarrow. Raises ConfigError when it is not installed."""
    try:
        import pyarrow as arrow
    except ImportError as error:
        raise ConfigError(f"pyarrow, to read {place}", error, "pip install 'otel-llm[parquet]'") from error
    return arrow
