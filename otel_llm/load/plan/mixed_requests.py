"""The requests of a run of several models or classes: each of the one that is drawn for its session."""

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otel_llm.load.asked import Asked, LazyRequests
from otel_llm.load.plan.conversations import Conversation, Conversations
from otel_llm.load.plan.mixture import Mixture
from otel_llm.load.plan.requested import Requests
from otel_llm.wire.protocol import WireRequest

__all__ = ["MixedRequests", "mixed"]


@dataclass(frozen=True, slots=True)
class MixedRequests(LazyRequests):
    """Requests of several models or classes. each: those of one of them; number: how many sessions there are"""

    mixture: Mixture
    each: tuple[Sequence[WireRequest], ...]
    number: int

    def __len__(self) -> int:
        return self.number

    @property
    def distinct(self) -> int:
        return min(
            one.distinct if isinstance(one, LazyRequests) else len({request.body for request in one})
            for one in self.each
        )

    def asked(self, index: int) -> Asked:
        one = self.each[self.mixture.pick(index)]
        return one.asked(index % len(one)) if isinstance(one, LazyRequests) else Asked()

    def apart(self, salt: str) -> "MixedRequests":
        each = (one.apart(salt) if isinstance(one, LazyRequests) else one for one in self.each)
        return MixedRequests(self.mixture, tuple(each), self.number)

    def make(self, index: int) -> WireRequest:
        requests = self.each[self.mixture.pick(index)]
        return requests[index % len(requests)]


def mixed(
    args: Namespace,
    mixture: Mixture,
    options: Sequence[Mapping[str, Any]],
    requests_to: Callable[[Namespace], Requests],
    most: int | None,
) -> Requests:
    """Return requests of several models or classes, at most so many.

    options:     of each of them, in place of those in `args`
    requests_to: returns the requests of one of them
    """
    each = [requests_to(Namespace(**{**vars(args), **own})) for own in options]
    first = each[0]._replace(notes=tuple(note for one in each for note in one.notes))
    if first.conversations is None:
        number = len(first.requests) if most is None else most
        return first._replace(requests=MixedRequests(mixture, tuple(one.requests for one in each), number))
    requests, conversations = list[WireRequest](), list[Conversation]()
    for session in range(max(len(one.requests) for one in each)):
        one = each[mixture.pick(session)]
        number = session % len(one.requests)
        requests.append(one.requests[number])
        if one.conversations is not None:
            conversations.append(one.conversations.of(number))
    return first._replace(requests=tuple(requests), conversations=Conversations(tuple(conversations)))
