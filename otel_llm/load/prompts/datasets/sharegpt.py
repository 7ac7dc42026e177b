"""Recorded conversations in the form of ShareGPT and of its descendants: {"conversations": [{"from", "value"}, ...]}.

Files in use differ: one JSON list or an object a line, `conversation` or `items`, `role` and `content`, many names of
who spoke, turns that are null. What can be read is read.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.reading import read_json_items
from otel_llm.load.prompts.recorded import Opening

__all__ = ["prompts"]

_NAMES: Final = {
    "user": ("human", "user", "prompter", "customer"),
    "assistant": ("gpt", "assistant", "chatgpt", "bard", "bing", "claude", "model", "ai", "bot", "agent"),
    "system": ("system", "developer"),
    "tool": ("tool", "observation", "function", "function_call", "function_response", "tool_call", "ipython"),
}
_ROLES: Final = {name: role for role, names in _NAMES.items() for name in names}
_ASKED: Final = frozenset(("system", "user"))
_SPOKEN: Final = _ASKED | {"assistant"}
_LISTS: Final = ("conversations", "conversation", "items", "messages")


def prompts(path: Path | None, seed: int) -> Iterator[Opening]:
    """Yield the opening of each conversation: its system message, if any, and the first turn of the user.

    What is left of it follows as its `rest`, without the turns of tools. Skips a conversation without a user turn.
    Raises ConfigError for an item that is not a conversation.
    """
    for place, item in read_json_items(path):
        said = [
            {"role": role, "content": text} for role, text in _turns(place, item) if role in _SPOKEN and text.strip()
        ]
        first = next((i for i, message in enumerate(said) if message["role"] == "user"), None)
        if first is not None:
            yield Opening((message for message in said[: first + 1] if message["role"] in _ASKED), said[first + 1 :])


def _turns(place: str, item: Any) -> list[tuple[str, str]]:
    """Return (role, text) of the turns of a conversation. Raises ConfigError when nothing in it is a turn."""
    turns = (
        next((item[name] for name in _LISTS if item.get(name) is not None), None) if isinstance(item, dict) else None
    )
    if not isinstance(turns, list):
        raise ConfigError(f"an object with a list under 'conversations' at {place}", type(item).__name__)
    found = [turn for turn in map(_turn, turns) if turn is not None]
    if turns and not found:
        raise ConfigError(f'turns as {{"from": human|gpt|system, "value": text}} at {place}', turns[0])
    return found


def _turn(turn: Any) -> tuple[str, str] | None:
    """Return (role, text) of a turn, the text empty where it has none; None for what is no turn."""
    if not isinstance(turn, dict):
        return None
    name = turn.get("from", turn.get("role"))
    role = _ROLES.get(name.lower()) if isinstance(name, str) else None
    text = turn.get("value", turn.get("content", turn.get("text")))
    return None if role is None else (role, text if isinstance(text, str) else "")
