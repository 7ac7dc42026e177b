"""A column of a Parquet file. Needs pyarrow (`pip install 'otel-llm[parquet]'`)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.reading import require_path
from otel_llm.load.prompts.tables import import_pyarrow, pick_column, prompt_of_cell

__all__ = ["prompts"]


def prompts(path: Path | None, seed: int, *, column: str | None = None) -> Iterator[str | Any]:
    """Yield each cell of `column`, text or messages. Without `column`, the first with a usual name is read.

    Raises ConfigError when pyarrow is not installed, the file cannot be read, or there is no such column.
    """
    path = require_path(path)
    arrow = import_pyarrow(path)
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (OSError, arrow.ArrowException) as error:
        raise ConfigError(f"a Parquet file at {path}", error, "check the path") from error
    name = pick_column(file.schema_arrow.names, column, path)
    number = 0
    for batch in file.iter_batches(columns=[name]):
        for cell in batch.column(0).to_pylist():
            number += 1
            if (prompt := prompt_of_cell(cell, f"{path}, row {number}")) is not None:
                yield prompt
