"""Requests as bytes, made ahead of time: when one is due it only has to be sent."""

import secrets
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Final

import msgspec

from otel_llm.load.asked import LazyRequests
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.wire.http import request_bytes

__all__ = ["Prepared", "Share", "Stock", "deal"]

_KEPT: Final = 64
_HEADS: Final = 4096


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a plan that one worker does.

    Request i is sent by slot i modulo `slots`, and slot s belongs to worker s modulo `workers`. So a worker with twice
    the slots has twice the requests, and any number of workers keeps as many under way as one.

    slots: places of all workers, each for one request under way; None where nothing bounds them
    """

    worker: int
    workers: int
    slots: int | None = None

    @property
    def own_slots(self) -> int:
        """How many slots are this worker's."""
        return len(range(self.worker, self.slots or self.workers, self.workers))

    def owns(self, index: int) -> bool:
        """Return whether request number `index` is this worker's."""
        return index % (self.slots or self.workers) % self.workers == self.worker

    def of(self, total: int) -> int:
        """Return how many of the first `total` requests are this worker's."""
        rounds, rest = divmod(total, self.slots or self.workers)
        return rounds * self.own_slots + len(range(self.worker, rest, self.workers))

    def indices(self, total: int) -> Iterator[int]:
        """Yield the numbers of this worker's requests, of the first `total`, ascending."""
        slots = self.slots or self.workers
        numbers = (begin + slot for begin in count(0, slots) for slot in range(self.worker, slots, self.workers))
        return takewhile(lambda number: number < total, numbers)


def deal(plan: LoadPlan) -> list[Share]:
    """Return the shares of a plan: one for each worker that gets a slot and a request."""
    slots = plan.max_concurrency if plan.open_loop else plan.parallel
    workers = min(plan.workers, plan.number, slots or plan.number)
    return [Share(worker, workers, slots) for worker in range(workers)]


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """A request that only needs a connection."""

    index: int
    wire: bytes
    trace_id: str
    span_id: str


class Stock:
    """The requests of one worker, in order; the next few are ready."""

    def __init__(self, plan: LoadPlan, share: Share) -> None:
        self._plan = plan
        self._traceparent = plan.traceparent and "traceparent" not in {name.lower() for name in plan.headers}
        self._ready: deque[Prepared] = deque()
        self._ahead = self._prepare(share.indices(plan.number))

    @property
    def empty(self) -> bool:
        """Whether there are no more."""
        if not self._ready:
            self.refill(1)
        return not self._ready

    def take(self) -> Prepared | None:
        """Return the next request, prepared earlier where there was time; None when there are no more."""
        return self._ready.popleft() if self._ready else next(self._ahead, None)

    def refill(self, most: int = 2) -> None:
        """Prepare some more, while waiting for packets."""
        for _ in range(most):
            if len(self._ready) < _KEPT and (prepared := next(self._ahead, None)) is not None:
                self._ready.append(prepared)

    def _prepare(self, indices: Iterator[int]) -> Iterator[Prepared]:
        """Yield the requests. The costly part is done once for each distinct request, unless all are distinct."""
        plan, heads = self._plan, dict[tuple[int, int], tuple[bytes, bytes]]()
        for index in indices:
            if isinstance(plan.requests, LazyRequests):
                head, body = self._head_and_body(index)
            else:
                key = index % len(plan.requests), index % len(plan.endpoints)
                if key not in heads:
                    if len(heads) > _HEADS:
                        heads.clear()
                    heads[key] = self._head_and_body(index)
                head, body = heads[key]
                if plan.cache_salt:
                    body = plan.request(index).body
            trace, span = secrets.token_hex(16), secrets.token_hex(8)
            link = f"\r\ntraceparent: 00-{trace}-{span}-01".encode() if self._traceparent else b""
            yield Prepared(index, b"%b%b\r\n\r\n%b" % (head, link, body), trace, span)

    def _head_and_body(self, index: int) -> tuple[bytes, bytes]:
        plan, request, target = self._plan, self._plan.request(index), self._plan.endpoint(index)
        whole = request_bytes(
            target.request_target,
            target.host_header,
            plan.all_headers(request),
            request.body,
            close=plan.new_connection,
        )
        return whole.partition(b"\r\n\r\n")[0], request.body
