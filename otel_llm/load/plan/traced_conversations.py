"""The conversations of a trace: a turn waits for the answers that it waited for when it was recorded, and carries them.

What a turn carries on is found by lengths: of the turns of the same agent that it goes back to, the one with the
longest prompt that, with its answer, is shorter than its own and, where the trace has ids of blocks, begins like it.
What its own prompt has beyond that is new text. A turn that carries on none is made as a single request is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from otel_llm.load.asked import Asked
from otel_llm.load.plan.conversations import Conversation, Link, Turn
from otel_llm.load.prompts.datasets import as_messages
from otel_llm.load.prompts.lazy import MadePrompts
from otel_llm.load.traces.links import Links
from otel_llm.load.traces.trace import Trace
from otel_llm.wire.protocol import Ask

__all__ = ["TracedConversations", "by_session", "carried_on"]

Ints = NDArray[np.int64]


def by_session(trace: Trace, sessions: Ints, most: Iterator[int]) -> tuple[Trace, Ints]:
    """Return the rows session by session, in the order in which these began; and where each begins, and the last ends.

    sessions: of each row, the number of its session
    most:     how many rows of each session are taken, the first ones
    """
    _, first, of = np.unique(sessions, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    session = rank[of]
    order = np.argsort(session, kind="stable")
    sizes = np.bincount(session)
    taken = np.minimum(sizes, np.fromiter(most, np.int64, len(sizes)))
    begins = np.cumsum(sizes) - sizes
    place = np.arange(len(order)) - np.repeat(begins, sizes)
    return trace.take(order[place < np.repeat(taken, sizes)]), np.append(0, np.cumsum(taken))


@dataclass(frozen=True, slots=True)
class TracedConversations(Sequence[Conversation]):
    """Conversations that are made turn by turn when they are needed.

    first:   the requests that begin them
    later:   makes what is new in the turns after these
    trace:   the rows of all turns, session by session
    links:   those of the trace
    starts:  the first row of each session, and the end of the last
    carries: the row that each row carries on; -1: none
    """

    first: MadePrompts
    later: MadePrompts
    trace: Trace
    links: Links
    starts: Ints
    carries: Ints

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, index: int) -> Conversation: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Conversation]: ...
    def __getitem__(self, index: int | slice) -> Conversation | Sequence[Conversation]:
        if isinstance(index, slice):
            return [_Traced(self, each) for each in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        return _Traced(self, index)

    def __iter__(self) -> Iterator[Conversation]:
        return (_Traced(self, index) for index in range(len(self)))


@dataclass(frozen=True, slots=True)
class _Traced:
    """One of them."""

    all: TracedConversations
    session: int

    def __len__(self) -> int:
        return int(self.all.starts[self.session + 1]) - self._row(0)

    def first(self) -> Ask:
        prompts, session = self.all.first, self.session
        asked = prompts.asked(session)
        return prompts.form.ask(as_messages(prompts.prompt(session, asked)), asked.output_tokens, session)

    def turn(self, number: int) -> Turn:
        row, prompts = self._row(number), self.all.later
        asked, before = prompts.asked(row), int(self.all.carries[row])
        made = asked
        if before >= 0:  # its blocks are those of what it carries on, and of the answer there, which is another here
            carried = prompts.asked(before)
            new = (asked.input_tokens or 1) - (carried.input_tokens or 0) - (carried.output_tokens or 0)
            made = Asked(new)
        messages = as_messages(prompts.prompt(row, made))
        return Turn(messages, None, prompts.form.parameters_of(asked.output_tokens), asked.output_tokens)

    def link(self, number: int) -> Link:
        row, first, links = self._row(number), self._row(0), self.all.links
        waits_for, before = [each - first for each in links.of(row)], int(self.all.carries[row])
        carries = None if before < 0 else before - first
        if waits_for and links.wait_ns is not None:
            return Link(waits_for, carries, 0, int(links.wait_ns[row]))
        return Link(waits_for, carries, int(self.all.trace.at_ns[row] - self.all.trace.at_ns[first]))

    def output_tokens(self, number: int) -> int | None:
        return int(self.all.trace.output_tokens[self._row(number)])

    def _row(self, number: int) -> int:
        return int(self.all.starts[self.session]) + number


def carried_on(trace: Trace, links: Links, starts: Ints) -> Ints:
    """Return, for each row, the row whose prompt and answer its own prompt begins with; -1 where there is none."""
    found = np.full(len(trace), -1, np.int64)
    inputs, whole = trace.input_tokens.tolist(), (trace.input_tokens + trace.output_tokens).tolist()
    agents = [0] * len(trace) if links.agents is None else links.agents.tolist()
    for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        goes_back_to = [0]  # a bit for each row of the session
        for row in range(begin + 1, end):
            back = 0
            for before in links.of(row):
                back |= goes_back_to[before - begin] | 1 << (before - begin)
            goes_back_to.append(back)
            fit = (
                each for each in _rows(back, begin)
                if whole[each] < inputs[row] and agents[each] == agents[row] and _begins_like(trace, row, each)
            )  # fmt: skip
            found[row] = max(fit, key=inputs.__getitem__, default=-1)
    return found


def _rows(bits: int, begin: int) -> Iterator[int]:
    """Yield the rows whose bits are set."""
    while bits:
        lowest = bits & -bits
        yield begin + lowest.bit_length() - 1
        bits ^= lowest


def _begins_like(trace: Trace, row: int, before: int) -> bool:
    """Return whether a prompt begins with the whole blocks of another; yes where there are no blocks."""
    if not trace.block_tokens:
        return True
    count = int(trace.input_tokens[before]) // trace.block_tokens
    own, other = (trace.blocks[trace.starts[each] : trace.starts[each] + count] for each in (row, before))
    return bool((own == other).all())
