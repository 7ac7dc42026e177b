"""A table of what requests took, a row for each group of them: turns of conversations, models, classes, endpoints."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.markup import escape
from rich.table import Table

from otel_llm.percentiles import BRIEF, percentile_name
from otel_llm.visible import on_one_line

__all__ = ["groups_table"]

_MOST: Final = 12
_COLUMNS: Final = ("mean", *map(percentile_name, BRIEF))


def groups_table(name: str, groups: Sequence[Mapping[str, Any]]) -> Table:
    """Return a row for each of the first groups: requests that succeeded, and failed, their prompts' length, time to
    first token.

    name:   of what tells the groups apart
    groups: `by_turn`, `by_model`, `by_class` or `by_endpoint` of a report
    """
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column(name, no_wrap=True)
    failures = any(row["requests"]["failed"] for row in groups)
    for column in (
        "succeeded",
        *(("failed",) if failures else ()),
        "input tokens",
        *(f"TTFT {each}, ms" for each in _COLUMNS),
    ):
        table.add_column(column, justify="right", no_wrap=True)
    for row in groups[:_MOST]:
        first, prompt = row["measures"]["time_to_first_token"], row["measures"]["input_tokens"]
        tokens = "-" if prompt["mean"] is None else f"{prompt['mean']:,.0f}"
        times = ["-" if first[column] is None else f"{first[column] * 1e3:,.2f}" for column in _COLUMNS]
        failed = [f"{row['requests']['failed']:,}"] if failures else []
        good = f"{row['requests']['succeeded']:,}"
        table.add_row(escape(on_one_line(str(row[name]))), good, *failed, tokens, *times)
    if len(groups) > _MOST:
        table.add_row(f"… {len(groups) - _MOST} more in the JSON report")
    return table
