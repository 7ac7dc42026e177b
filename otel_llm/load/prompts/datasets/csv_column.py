"""A column of a CSV file with a header line, of cells as long as they are, with commas, semicolons or tabs."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.reading import open_table
from otel_llm.load.prompts.tables import pick_column

__all__ = ["prompts"]

_LONGEST: Final = (1 << 31) - 1
_DELIMITERS: Final = (",", "\t", ";")


def prompts(path: Path | None, seed: int, *, column: str | None = None, delimiter: str = "") -> Iterator[str]:
    """Yield each cell of `column` that is not blank. Without `column`, the first with a usual name is read.

    delimiter: one character, or `tab`; without one, that of comma, tab and semicolon which the header line has most of

    Raises ConfigError when there is no such column, a row is too short, or the file is no CSV.
    """
    csv.field_size_limit(_LONGEST)
    with open_table(path) as file:
        between = _delimiter(delimiter, file.readline())
        file.seek(0)
        rows = csv.DictReader(file, delimiter=between)
        try:
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
        except (csv.Error, UnicodeError) as error:
            raise ConfigError(f"CSV at {path}:{rows.line_num}", error, "mend the file") from error


def _delimiter(given: str, header: str) -> str:
    if given.lower() in ("tab", "\\t"):
        return "\t"
    if len(given) > 1:
        raise ConfigError("the dataset option delimiter to be one character, or tab", given)
    return given or max(_DELIMITERS, key=header.count)
