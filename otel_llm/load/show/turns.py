"""Turn by turn: a table of what each turn of conversations took."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.table import Table

from otel_llm.percentiles import BRIEF, percentile_name

__all__ = ["turns_table"]

_MOST: Final = 12
_COLUMNS: Final = ("mean", *map(percentile_name, BRIEF))


def turns_table(turns: Sequence[Mapping[str, Any]]) -> Table:
    """Return a row for each of the first turns: requests that succeeded, their prompts' length, time to first token.

    turns: `by_turn` of a report
    """
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column("turn", no_wrap=True)
    for name in ("succeeded", "input tokens", *(f"TTFT {column}, ms" for column in _COLUMNS)):
        table.add_column(name, justify="right", no_wrap=True)
    for row in turns[:_MOST]:
        first, prompt = row["measures"]["time_to_first_token"], row["measures"]["input_tokens"]
        tokens = "-" if prompt["mean"] is None else f"{prompt['mean']:,.0f}"
        times = ["-" if first[column] is None else f"{first[column] * 1e3:,.2f}" for column in _COLUMNS]
        table.add_row(str(row["turn"]), f"{row['requests']['succeeded']:,}", tokens, *times)
    if len(turns) > _MOST:
        table.add_row(f"… {len(turns) - _MOST} more turns in the JSON report")
    return table
