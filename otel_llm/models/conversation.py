"""A conversation as messages, and as one text for models that take nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Message", "as_prompt", "messages_of", "words_in"]

Message = dict[str, str]


def messages_of(history: "str | Sequence[Mapping[str, Any] | str]", system_prompt: str | None) -> list[Message]:
    """Return the messages before the one that is to be answered.

    history: turns {"role": ..., "content": ...}, or lines of text, or one text of any form
    """
    turns: list[Message] = [{"role": "system", "content": system_prompt}] if system_prompt else []
    for turn in [history] if isinstance(history, str) else history:
        if isinstance(turn, Mapping):
            turns.append({"role": str(turn["role"]), "content": str(turn["content"])})
        elif turn:
            turns.append({"role": "", "content": turn})
    return turns


def as_prompt(messages: Sequence[Message]) -> str:
    """Return messages as text, a line each; a single one as it stands."""
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n".join(f"{m['role']}: {m['content']}" if m["role"] else m["content"] for m in messages)


def words_in(text: str) -> int:
    """Return how many words and punctuation marks a text has: about its tokens, where nothing knows them.

    >>> words_in("Hello, world!")
    4
    """
    import re

    return len(re.findall(r"\w+|[^\w\s]", text))
