"""A table as CSV and as Parquet, a part at a time."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import IO, Any, Final

from otel_llm.errors import ConfigError
from otel_llm.load.export.columns import Column

__all__ = ["write_csv", "write_parquet"]

Parts = Iterable[Sequence[Sequence[Any]]]

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def write_csv(to: IO[bytes], columns: Sequence[Column], parts: Parts) -> None:
    """Write a table as CSV (RFC 4180, UTF-8): a header, then a line a row; null is empty, numbers are exact.

    A text that a spreadsheet would take for a formula begins with an apostrophe: servers name their errors.
    """
    text = io.TextIOWrapper(to, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow([column.name for column in columns])
    texts = [at for at, column in enumerate(columns) if column.type == "text"]
    for rows in parts:
        for row in rows:
            cells = list(row)
            for at in texts:
                if cells[at] and cells[at].startswith(_FORMULA):
                    cells[at] = f"'{cells[at]}"
            writer.writerow(cells)
    text.detach()


def write_parquet(to: IO[bytes], columns: Sequence[Column], parts: Parts) -> None:
    """Write a table as Parquet; each field says in its metadata what it is. Raises ConfigError without pyarrow."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ConfigError("the extra `parquet`", str(error), "pip install 'otel-llm[parquet]'") from error
    types = {"integer": pa.int64(), "real": pa.float64(), "text": pa.string(), "boolean": pa.bool_()}
    schema = pa.schema([pa.field(each.name, types[each.type], metadata={"about": each.about}) for each in columns])
    with pq.ParquetWriter(to, schema) as writer:
        for rows in parts:
            values = zip(*rows, strict=True)
            arrays = [pa.array(each, type=field.type) for each, field in zip(values, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
