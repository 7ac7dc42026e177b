"""Recorded conversations in the form of ShareGPT: a JSON list of {"conversations": [{"from", "value"}, ...]}."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.reading import read_json_list

__all__ = ["prompts"]

_ROLES: Final = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}


def prompts(path: Path | None, seed: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the opening of each conversation: its system message, if any, and the first turn of the user.

    Skips a conversation without a user turn. Raises ConfigError for an item that is not a conversation.
    """
    for place, item in read_json_list(path):
        opening: list[dict[str, Any]] = []
        for role, said in _turns(place, item):
            if role != "assistant" and said.strip():
                opening.append({"role": role, "content": said})
            if role == "user" and said.strip():
                yield opening
                break


def _turns(place: str, item: Any) -> Iterator[tuple[str, str]]:
    turns = item.get("conversations") if isinstance(item, dict) else None
    if not isinstance(turns, list):
        raise ConfigError(f"an object with a list under 'conversations' at {place}", type(item).__name__)
    for turn in turns:
        if not isinstance(turn, dict) or turn.get("from") not in _ROLES or not isinstance(turn.get("value"), str):
            raise ConfigError(f'turns as {{"from": human|gpt|system, "value": text}} at {place}', turn)
        yield _ROLES[turn["from"]], turn["value"]
