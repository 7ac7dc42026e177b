"""Requests as bytes, made ahead of time: when one is due it only has to be sent."""

import secrets
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from otel_llm.load.plan.plan import LoadPlan
from otel_llm.wire.http import request_bytes

__all__ = ["Prepared", "Share", "Stock"]

_KEPT: Final = 64
_HEADS: Final = 4096


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a plan that a worker does: every `workers`-th request and slot, from number `worker` on."""

    worker: int
    workers: int

    def of(self, total: int) -> int:
        """Return how many of `total` belong to this share."""
        return len(range(self.worker, total, self.workers))


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
        self._ahead = self._prepare(range(share.worker, plan.number, share.workers))

    def take(self) -> Prepared | None:
        """Return the next request, prepared earlier where there was time; None when there are no more."""
        return self._ready.popleft() if self._ready else next(self._ahead, None)

    def refill(self, count: int = 2) -> None:
        """Prepare some more, while waiting for packets."""
        for _ in range(count):
            if len(self._ready) < _KEPT and (prepared := next(self._ahead, None)) is not None:
                self._ready.append(prepared)

    def _prepare(self, indices: range) -> Iterator[Prepared]:
        """Yield the requests. The costly part is done once for each distinct request."""
        plan, heads = self._plan, dict[tuple[int, int], tuple[bytes, bytes]]()
        for index in indices:
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
            plan.all_headers(index),
            request.body,
            close=plan.new_connection,
        )
        return whole.partition(b"\r\n\r\n")[0], request.body
