"""The functions of the `openai` client that libraries put theirs in place of, so that both can be had in turn."""

from typing import Any

import openai
from openai.resources.chat.completions import AsyncCompletions, Completions

_POINTS: tuple[tuple[Any, str], ...] = (
    (Completions, "create"),
    (AsyncCompletions, "create"),
    (openai.OpenAI, "request"),
    (openai.AsyncOpenAI, "request"),
)
_INHERITED: Any = object()


class Functions:
    """What stood in these places when this was made."""

    def __init__(self) -> None:
        self._kept = [vars(owner).get(name, _INHERITED) for owner, name in _POINTS]
        self._found = [getattr(owner, name) for owner, name in _POINTS]

    def put(self) -> None:
        """Put them there again."""
        for (owner, name), function in zip(_POINTS, self._kept, strict=True):
            if function is not _INHERITED:
                setattr(owner, name, function)
            elif name in vars(owner):
                delattr(owner, name)

    def same(self) -> bool:
        """Return whether the very same functions are found there now."""
        return all(
            getattr(owner, name) is function for (owner, name), function in zip(_POINTS, self._found, strict=True)
        )
