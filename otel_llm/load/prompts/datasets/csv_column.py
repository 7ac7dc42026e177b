"""A column of a CSV file with a header line."""

import csv
from collections.abc import Iterator
from pathlib import Path

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.reading import open_text
from otel_llm.load.prompts.tables import pick_column

__all__ = ["prompts"]


def prompts(path: Path | None, seed: int, *, column: str | None = None, delimiter: str = ",") -> Iterator[str]:
    """Yield each cell of `column` that is not blank. Without `column`, the first with a usual name is read.

    Raises ConfigError when there is no such column, or a row is too short.
    """
    with open_text(path) as file:
        rows = csv.DictReader(file, delimiter=delimiter)
        name = pick_column(rows.fieldnames or (), column, path)
        for row in rows:
            cell = row[name]
            if cell is None:
                raise ConfigError(
                    f"a cell in column {name!r} at {path}:{rows.line_num}",
                    next_step="add it, or the comma that is missing",
                )
            if cell.strip():
                yield cell
