"""Conversations: sessions of several requests, each of which carries on what was said before it.

A session that is a single request has nothing of this: its request is encoded before the run. Of a conversation that
is true of the first turn only; each later one is encoded when the answer before it is there.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, NamedTuple

from otel_llm.wire.protocol import Ask

__all__ = ["Conversation", "Conversations", "Turn"]

Message = Mapping[str, Any]


class Turn(NamedTuple):
    """What a user says after an answer.

    messages:      what is new, usually one message of the user
    answer:        the answer that stands before it in the history; None: the one that the server really gave
    parameters:    of this turn, as in `Ask`
    output_tokens: how long its own answer is to be; None leaves that to the server
    """

    messages: Sequence[Message]
    answer: Message | None = None
    parameters: Mapping[str, Any] = {}
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A session. `ask` is its first turn, whose answer is to have `output_tokens`; `later` are those that follow."""

    ask: Ask
    later: tuple[Turn, ...] = ()
    output_tokens: int | None = None

    def next_ask(self, before: Ask, turn: int, answer: str) -> Ask:
        """Return what turn number `turn` asks, from 1 for the second: all of the turn before, its answer, what is new.

        answer: the text that the server gave
        """
        following = self.later[turn - 1]
        said = following.answer or {"role": "assistant", "content": answer}
        return replace(before, messages=(*before.messages, said, *following.messages), parameters=following.parameters)

    def last_ask(self) -> Ask:
        """Return what the last turn asks, with nothing in the place of answers that are not known."""
        ask = self.ask
        for turn in range(1, len(self.later) + 1):
            ask = self.next_ask(ask, turn, "")
        return ask


@dataclass(frozen=True, slots=True)
class Conversations:
    """The conversations of a plan. Their requests are numbered one conversation after the other, again and again."""

    each: tuple[Conversation, ...]
    _ends: tuple[int, ...] = field(init=False)
    """How many requests there are up to the end of each conversation of one pass."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ends", tuple(accumulate(1 + len(one.later) for one in self.each)))

    def of(self, session: int) -> Conversation:
        """Return the conversation that a session holds."""
        return self.each[session % len(self.each)]

    def requests_before(self, session: int) -> int:
        """Return how many requests the sessions before this one have: the number of its first request."""
        passes, rest = divmod(session, len(self.each))
        return passes * self._ends[-1] + (self._ends[rest - 1] if rest else 0)

    def place(self, request: int) -> tuple[int, int]:
        """Return the session of a request, and which of its turns that is, from 0."""
        passes, rest = divmod(request, self._ends[-1])
        which = bisect_right(self._ends, rest)
        return passes * len(self.each) + which, rest - (self._ends[which - 1] if which else 0)

    def output_tokens(self, request: int) -> int | None:
        """Return how long the answer to a request is to be; None where that is the server's."""
        session, turn = self.place(request)
        conversation = self.of(session)
        return conversation.later[turn - 1].output_tokens if turn else conversation.output_tokens
