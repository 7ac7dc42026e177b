"""Recorded conversations: what users said in turn, and the answers that they got."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Opening", "RecordedTurn", "turns_of"]

Message = Mapping[str, Any]


class Opening(list[Message]):
    """The messages that open a recorded conversation: all that is sent where no conversation is asked for.

    rest: what was said after them, answers included
    """

    def __init__(self, messages: Iterable[Message], rest: Sequence[Message]) -> None:
        super().__init__(messages)
        self.rest = rest


class RecordedTurn(NamedTuple):
    """The messages of a turn, and the answer before it; None before the first turn."""

    messages: Sequence[Message]
    answer: Message | None


def turns_of(messages: Sequence[Message]) -> list[RecordedTurn]:
    """Return the turns of a conversation: an answer ends each, but for the last, which may have none.

    >>> said = [{"role": role, "content": role[0]} for role in ("system", "user", "assistant", "user", "assistant")]
    >>> [[message["content"] for message in turn.messages] for turn in turns_of(said)]
    [['s', 'u'], ['u']]
    """
    found: list[RecordedTurn] = []
    new: list[Message] = []
    before: Message | None = None
    for message in [*messages, *(messages.rest if isinstance(messages, Opening) else ())]:
        if message.get("role") == "assistant" and new:
            found.append(RecordedTurn(new, before))
            before, new = message, []
        else:  # of two answers in a row, the second is context
            new.append(message)
    if any(message.get("role") != "assistant" for message in new):
        found.append(RecordedTurn(new, before))
    return found
