"""Conversations: sessions of several requests, each of which carries on what was said before it.

A session that is a single request has nothing of this: its request is encoded before the run. Of a conversation that
is true of the first turn only; each later one is encoded when the answers are there that it waits for.
"""

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

from otel_llm.wire.protocol import Ask

__all__ = ["Conversation", "Conversations", "GivenConversation", "Link", "Turn"]

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

    def after(self, before: Ask, answer: str) -> Ask:
        """Return what this turn asks: all of the turn that it carries on, its answer, what is new.

        answer: the text that the server gave
        """
        said = self.answer or {"role": "assistant", "content": answer}
        return replace(before, messages=(*before.messages, said, *self.messages), parameters=self.parameters)

    def anew(self, first: Ask) -> Ask:
        """Return what this turn asks where it carries on nothing. first: what the first turn asks"""
        return replace(first, messages=self.messages, parameters=self.parameters)


class Link(NamedTuple):
    """What a turn waits for, and what it carries on. Turns are numbered from 0; those it waits for come before it.

    waits_for: the turns whose answers have to be there
    carries:   the turn, one that has ended by then, whose messages and answer it begins with; None: of none
    at_ns:     it is not sent before so long after the session began
    wait_ns:   nor before so long after the last of those answers
    """

    waits_for: Sequence[int]
    carries: int | None
    at_ns: int = 0
    wait_ns: int = 0


class Conversation(Protocol):
    """A session of so many turns, of which the first has the number 0."""

    def __len__(self) -> int: ...

    def first(self) -> Ask:
        """Return what the first turn asks."""

    def turn(self, number: int) -> Turn:
        """Return a turn after the first."""

    def link(self, number: int) -> Link:
        """Return what a turn after the first waits for."""

    def output_tokens(self, number: int) -> int | None:
        """Return how long the answer to a turn is to be; None where that is the server's."""


@dataclass(frozen=True, slots=True)
class GivenConversation:
    """A conversation made before the run: each turn follows the one before.

    `ask` is its first turn, whose answer is to have `output_tokens`; `later` are those that follow.
    """

    ask: Ask
    later: tuple[Turn, ...] = ()
    answer_tokens: int | None = None

    def __len__(self) -> int:
        return 1 + len(self.later)

    def first(self) -> Ask:
        return self.ask

    def turn(self, number: int) -> Turn:
        return self.later[number - 1]

    def link(self, number: int) -> Link:
        return Link((number - 1,), number - 1)

    def output_tokens(self, number: int) -> int | None:
        return self.later[number - 1].output_tokens if number else self.answer_tokens

    def last_ask(self) -> Ask:
        """Return what the last turn asks, with nothing in the place of answers that are not known."""
        ask = self.ask
        for turn in self.later:
            ask = turn.after(ask, "")
        return ask


@dataclass(frozen=True, slots=True)
class Conversations:
    """The conversations of a plan. Their requests are numbered one conversation after the other, again and again."""

    each: Sequence[Conversation]
    _ends: "array[int]" = field(init=False)
    """How many requests there are up to the end of each conversation of one pass."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ends", array("q", accumulate(map(len, self.each))))

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
        return self.of(session).output_tokens(turn)

    def waiting_for(self, request: int) -> set[int]:
        """Return the requests that are sent only if this one succeeds: they wait for it, or for one of these."""
        session, turn = self.place(request)
        conversation, found = self.of(session), {turn}
        for later in range(turn + 1, len(conversation)):
            if not found.isdisjoint(conversation.link(later).waits_for):
                found.add(later)
        return {request - turn + each for each in found - {turn}}
