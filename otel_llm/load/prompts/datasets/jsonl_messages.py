"""OpenAI messages, one request a line or an item of one list: {"messages": [...]}, or the list alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.reading import read_json_items

__all__ = ["prompts"]


def prompts(path: Path | None, seed: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the messages of each line or item as they are. Raises ConfigError for one without any."""
    for place, item in read_json_items(path):
        messages = item.get("messages") if isinstance(item, dict) else item
        if not isinstance(messages, list) or not messages or not all(_is_message(message) for message in messages):
            raise ConfigError(f'messages as [{{"role": ..., "content": ...}}, ...] at {place}', messages)
        yield messages


def _is_message(message: Any) -> bool:
    return isinstance(message, dict) and isinstance(message.get("role"), str)
