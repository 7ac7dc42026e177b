"""The requests of a run that asks several models: each to the model that is drawn for its session."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from otel_llm.load.asked import Asked, LazyRequests
from otel_llm.load.plan.conversations import Conversation, Conversations
from otel_llm.load.plan.mixture import Mixture
from otel_llm.load.plan.requested import Requests
from otel_llm.wire.protocol import WireRequest

__all__ = ["MixedRequests", "mixed"]


@dataclass(frozen=True, slots=True)
class MixedRequests(LazyRequests):
    """Requests to several models. each: the same requests to each of the models; number: how many sessions there are"""

    mixture: Mixture
    each: tuple[Sequence[WireRequest], ...]
    number: int

    def __len__(self) -> int:
        return self.number

    @property
    def distinct(self) -> int:
        one = self.each[0]
        return one.distinct if isinstance(one, LazyRequests) else len({request.body for request in one})

    def asked(self, index: int) -> Asked:
        one = self.each[0]
        return one.asked(index % len(one)) if isinstance(one, LazyRequests) else Asked()

    def apart(self, salt: str) -> "MixedRequests":
        each = (one.apart(salt) if isinstance(one, LazyRequests) else one for one in self.each)
        return MixedRequests(self.mixture, tuple(each), self.number)

    def make(self, index: int) -> WireRequest:
        requests = self.each[self.mixture.pick(index)]
        return requests[index % len(requests)]


def mixed(
    args: Namespace, mixture: Mixture, requests_to: Callable[[Namespace], Requests], most: int | None
) -> Requests:
    """Return requests to several models, at most so many. requests_to: returns those of options with a single model"""
    each = [requests_to(Namespace(**{**vars(args), "model": name})) for name in mixture.names]
    first = each[0]
    if first.conversations is None:
        number = len(first.requests) if most is None else most
        return first._replace(requests=MixedRequests(mixture, tuple(one.requests for one in each), number))
    requests, conversations = list[WireRequest](), list[Conversation]()
    for session in range(len(first.requests)):
        one = each[mixture.pick(session)]
        requests.append(one.requests[session])
        if one.conversations is not None:
            conversations.append(one.conversations.of(session))
    return first._replace(requests=tuple(requests), conversations=Conversations(tuple(conversations)))
