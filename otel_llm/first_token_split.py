"""Where the time to a first token went: what the server says of it, and what it does not.

What was said is taken as it is. What it does not add up to is the remainder, and is spread over nothing.
"""

from typing import Final, NamedTuple, Protocol

__all__ = ["SPLIT", "FirstTokenSplit", "Told", "split_first_token"]


class Told(Protocol):
    """What of `otel_llm.record.ServerTimes` is needed here; seconds."""

    @property
    def queue(self) -> float | None: ...
    @property
    def load(self) -> float | None: ...
    @property
    def prefill(self) -> float | None: ...
    @property
    def first_token(self) -> float | None: ...
    @property
    def total(self) -> float | None: ...
    @property
    def upstream(self) -> float | None: ...
    @property
    def proxy(self) -> float | None: ...


class FirstTokenSplit(NamedTuple):
    """The time to a first token and its parts, in seconds; None for a part that nobody tells.

    outside:     network, proxies and routers on both ways: see `split_first_token`
    queue, load, prefill: as the server says
    unexplained: what remains of the whole; below 0 where the parts come to more than it
    """

    whole: float
    outside: float | None
    queue: float | None
    load: float | None
    prefill: float | None
    unexplained: float


SPLIT: Final = FirstTokenSplit._fields[1:]
"""The parts, in the order in which a request meets most of them."""


def split_first_token(told: Told, whole: float, latency: float | None, head: float | None) -> FirstTokenSplit:
    """Return the split of a first token that took `whole` seconds.

    What passed outside the server is known by a difference of two accounts of one thing: of the first token, where the
    server gives its own; or else of the whole answer; or else, of the answer's head, between when it came and how long
    a proxy says it waited for it. Or else it is what a proxy says that it took itself, without the network.

    latency: of the whole answer; None where it did not end well. head: when the answer's head came, after sending
    """
    outside = None
    if told.first_token is not None:
        outside = whole - told.first_token
    elif told.total is not None and latency is not None:
        outside = latency - told.total
    elif told.upstream is not None and head is not None:
        outside = head - told.upstream
    elif told.proxy is not None:
        outside = told.proxy
    parts = (outside, told.queue, told.load, told.prefill)
    return FirstTokenSplit(whole, *parts, whole - sum(part for part in parts if part is not None))
