"""A conversation under way: which of its turns may be sent, when, and what they carry on."""

from collections import Counter, defaultdict

from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.worker.prepared import Prepared
from otel_llm.load.worker.raw import Raw

__all__ = ["Session"]

Ended = tuple[Prepared, Raw]
"""A turn as it was sent, and what came."""


class Session:
    """The turns of one conversation, numbered from 0; `first` is the first of them.

    began_ns: when the conversation was meant to begin
    at_once:  the turns that wait for no answer, besides the first
    last:     the turn that ended last; None before one has
    echoed:   what the latest answer that said it wants to be sent back
    """

    def __init__(self, plan: LoadPlan, first: Prepared, began_ns: int) -> None:
        assert plan.conversations is not None  # noqa: S101  # who holds a conversation has one
        conversation = plan.conversations.of(first.session)
        self.first, self._plan = first, plan
        self._links = {number: conversation.link(number) for number in range(1, len(conversation))}
        self._missing = {number: len(link.waits_for) for number, link in self._links.items()}
        self._due_ns = {number: began_ns + link.at_ns for number, link in self._links.items()}
        self._waiting = defaultdict[int, list[int]](list)
        for number, link in self._links.items():
            for before in link.waits_for:
                self._waiting[before].append(number)
        self._uses = Counter(link.carries for link in self._links.values())
        self._ended = dict[int, Ended]()
        self.at_once = [number for number, missing in self._missing.items() if not missing]
        self.last: Raw | None = None
        self.echoed = ""

    def due_ns(self, number: int) -> int:
        """Return when a turn is to be sent, of which all that it waits for has ended."""
        return self._due_ns[number]

    def carried(self, number: int) -> Ended | None:
        """Return the turn that a turn carries on; None: none. Asked once for each turn."""
        before = self._links[number].carries
        if before is None:
            return None
        self._uses[before] -= 1
        return self._ended[before] if self._uses[before] else self._ended.pop(before)

    def end(self, prepared: Prepared, raw: Raw) -> list[int]:
        """Note that a turn has ended; return the turns that may be sent now. None follows one that failed."""
        if self.last is None or self.last.ended_ns <= raw.ended_ns:
            self.last = raw
            self.echoed = raw.echoed or self.echoed
        if raw.outcome != "complete" or raw.content is None:
            return []
        number = prepared.index - self.first.index
        if self._uses[number]:
            self._ended[number] = prepared, raw
        ready, thought_ns = [], raw.ended_ns + self._plan.think_ns(raw.index)
        for later in self._waiting[number]:
            self._missing[later] -= 1
            self._due_ns[later] = max(self._due_ns[later], thought_ns + self._links[later].wait_ns)
            if not self._missing[later]:
                ready.append(later)
        return ready
