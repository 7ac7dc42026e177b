"""Tables as pandas, polars and a notebook have them."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from otel_llm.errors import ConfigError
from otel_llm.load.export.columns import Column
from otel_llm.visible import on_one_line

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["html_of", "pandas_of", "polars_of"]

Rows = Iterable[Sequence[Any]]


def pandas_of(columns: Sequence[Column], rows: Rows) -> "pd.DataFrame":
    """Return a table. Raises ConfigError without pandas."""
    try:
        import pandas as pd
    except ImportError:
        raise ConfigError("pandas installed", next_step="pip install pandas") from None
    return pd.DataFrame(list(rows), columns=[column.name for column in columns])


def polars_of(columns: Sequence[Column], rows: Rows) -> "pl.DataFrame":
    """Return a table. Raises ConfigError without polars."""
    try:
        import polars as pl
    except ImportError:
        raise ConfigError("polars installed", next_step="pip install polars") from None
    names = [column.name for column in columns]
    return pl.DataFrame(list(rows), schema=names, orient="row", infer_schema_length=None)


def html_of(said: Iterable[str], columns: Sequence[str] = (), rows: Iterable[Sequence[str]] = ()) -> str:
    """Return sentences and a table as HTML without a script: whatever others wrote is text."""
    parts = [f"<p>{_text(sentence)}</p>" for sentence in said]
    if columns:
        head = "".join(f"<th>{_text(column)}</th>" for column in columns)
        body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    return "\n".join(parts)


def _text(text: str) -> str:
    return escape(on_one_line(text))
