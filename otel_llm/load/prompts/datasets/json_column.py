"""A member of JSON objects: a file that is one list of them, or has one a line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from otel_llm.load.prompts.reading import read_json_items
from otel_llm.load.prompts.tables import pick_column, prompt_of_cell

__all__ = ["prompts"]


def prompts(path: Path | None, seed: int, *, column: str | None = None) -> Iterator[str | Any]:
    """Yield the text or the messages under `column` of each object. Without it, the first usual name is read.

    An item that is a text or a list of messages itself is the prompt. Of OpenAI's batch files the member `body` is
    read. Raises ConfigError when an object has no such member.
    """
    for place, item in read_json_items(path):
        found = item
        if isinstance(item, dict):
            inside = item.get("body")
            row = inside if column is None and isinstance(inside, dict) else item
            found = row[pick_column(row, column, place)]
        if (prompt := prompt_of_cell(found, place)) is not None:
            yield prompt
