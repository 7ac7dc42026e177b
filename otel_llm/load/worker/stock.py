"""Requests as bytes, made ahead of time: when one is due it only has to be sent."""

import secrets
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import msgspec

from otel_llm.clock import now_ns
from otel_llm.load.asked import LazyRequests
from otel_llm.load.plan.cachebust import fill_in
from otel_llm.load.plan.conversations import Conversation
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.plan.share import Share
from otel_llm.load.worker.prepared import Prepared
from otel_llm.load.worker.raw import Raw
from otel_llm.wire.http import request_bytes
from otel_llm.wire.protocol import Ask, Protocol, WireRequest
from otel_llm.wire.sigv4 import Signer

__all__ = ["Stock", "deal"]

_KEPT: Final = 64
_HEADS: Final = 4096
_SIGNED_NS: Final = 120_000_000_000
"""For how long a signature is used: AWS takes one that is five minutes old at most."""


def deal(plan: LoadPlan) -> list[Share]:
    """Return the shares of a plan: one for each worker of this machine that gets a slot and a session."""
    mine, workers = plan.share, plan.workers
    if mine.slots is not None:
        workers = min(workers, mine.own_slots)
    return mine.among(min(workers, mine.of(plan.number)))


class Stock:
    """The sessions of one worker, in order; the first requests of the next few are ready."""

    def __init__(self, plan: LoadPlan, share: Share) -> None:
        self._plan = plan
        self._traceparent = plan.traceparent and "traceparent" not in {name.lower() for name in plan.headers}
        self._signer = None if plan.sigv4 is None else Signer(plan.sigv4)
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
        prepared = self._ready.popleft() if self._ready else next(self._ahead, None)
        if prepared is None or prepared.signed_ns is None or now_ns() - prepared.signed_ns < _SIGNED_NS:
            return prepared
        session = prepared.session
        return self._prepared(prepared.index, session, *self._head_and_body(session, self._plan.request(session)))

    def refill(self, most: int = 2) -> bool:
        """Prepare some more, while waiting for packets; return whether there is more to prepare, and room for it."""
        for _ in range(most):
            if len(self._ready) >= _KEPT or (prepared := next(self._ahead, None)) is None:
                return False
            self._ready.append(prepared)
        return len(self._ready) < _KEPT

    def next_turn(
        self, first: Prepared, number: int, before: tuple[Prepared, Raw] | None, echoed: str = ""
    ) -> Prepared:
        """Prepare a turn, not the first, of the conversation that `first` began.

        before: the turn that it carries on, with its content; None: none
        echoed: what an answer wants to be sent back
        """
        plan, index = self._plan, first.index + number
        assert plan.conversations is not None  # noqa: S101  # else there is one turn
        conversation = plan.conversations.of(first.session)
        try:
            ask = _ask(plan.protocol, conversation, number, before)
            request = plan.protocol.encode(ask)
        except Exception as error:  # a plugin's bug: it must not take the run with it
            problem = f"{plan.protocol.name} could not encode turn {number + 1}: {type(error).__name__}: {error}"
            return msgspec.structs.replace(self._prepared(index, first.session, b"", b""), problem=problem)
        if plan.cache_salt:
            request = replace(request, body=fill_in(request.body, plan.cache_salt, first.session))
        return self._prepared(index, first.session, *self._head_and_body(first.session, request), ask, echoed)

    def _prepare(self, sessions: Iterator[int]) -> Iterator[Prepared]:
        """Yield the first requests of sessions. The costly part is done once for each of them, unless all differ."""
        plan, heads = self._plan, dict[tuple[int, int], tuple[bytes, bytes]]()
        for session in sessions:
            if isinstance(plan.requests, LazyRequests):
                head, body = self._head_and_body(session, plan.request(session))
            else:
                key = session % len(plan.requests), session % len(plan.endpoints)
                if key not in heads:
                    if len(heads) > _HEADS:
                        heads.clear()
                    heads[key] = self._head_and_body(session, plan.request(session))
                head, body = heads[key]
                if plan.cache_salt:
                    body = plan.protocol.as_sent(plan.request(session).body)
            yield self._prepared(plan.requests_before(session), session, head, body)

    def _prepared(
        self, index: int, session: int, head: bytes, body: bytes, ask: Ask | None = None, echoed: str = ""
    ) -> Prepared:
        trace, span = secrets.token_hex(16), secrets.token_hex(8)
        own = f"\r\ntraceparent: 00-{trace}-{span}-01" if self._traceparent else ""
        if self._plan.session_header is not None:
            own += f"\r\n{self._plan.session_header}: {self._plan.session_id(session)}"
        if echoed and echoed.isprintable():  # a server's words: nothing of them may look like another header
            own += f"\r\n{_back(self._plan.session_echo)}: {echoed}"
        signed_ns = None
        if self._signer is not None and head:
            signed_ns = now_ns()
            signed = self._signer.headers(self._plan.endpoint(session).url, body)
            own += "".join(f"\r\n{name}: {value}" for name, value in signed.items())
        wire = b"%b%b\r\n\r\n%b" % (head, own.encode("latin-1"), body)
        return Prepared(index, session, wire, trace, span, ask, None if ask is None else body, None, signed_ns)

    def _head_and_body(self, session: int, request: WireRequest) -> tuple[bytes, bytes]:
        """Return (the request line and the headers, without those of one request alone; the body)."""
        plan, target, body = self._plan, self._plan.endpoint(session), self._plan.protocol.as_sent(request.body)
        whole = request_bytes(
            target.request_target,
            target.host_header,
            plan.all_headers(request),
            body,
            close=plan.new_connection,
        )
        return whole.partition(b"\r\n\r\n")[0], body


def _back(header: str | None) -> str:
    """Return in which header goes back what this one said."""
    return "Cookie" if header is not None and header.lower() == "set-cookie" else str(header)


def _ask(protocol: type[Protocol], conversation: Conversation, number: int, before: tuple[Prepared, Raw] | None) -> Ask:
    turn = conversation.turn(number)
    if before is None:
        return turn.anew(conversation.first())
    prepared, raw = before
    answer = "" if raw.content is None else raw.content.answer(protocol)
    return turn.after(prepared.ask or conversation.first(), answer)
