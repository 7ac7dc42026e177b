"""When requests begin: a closed loop keeps its slots busy, an open loop follows planned times.

What a slot or a planned time begins is a session: one request, or a conversation, whose turns follow each other.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import closing
from itertools import islice
from typing import Final

from otel_llm.clock import now_ns
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.plan.share import Share
from otel_llm.load.worker.open_loop import OpenLoop
from otel_llm.load.worker.pool import Connection, Pool
from otel_llm.load.worker.prepared import Prepared
from otel_llm.load.worker.raw import Raw
from otel_llm.load.worker.session import Session
from otel_llm.load.worker.stock import Stock
from otel_llm.wire.alarm import Sleeper

__all__ = ["Pacing"]

_RAMP_GAP_NS: Final = 5_000_000
_NAP_NS: Final = 200_000_000
_NEVER_NS: Final = 1 << 62

_Answer = Coroutine[object, object, tuple[Connection | None, Raw]]
"""Waits for the end of a request, or of a conversation; returns the connection if it is reusable, and its notes."""
_Perform = Callable[[Prepared, Connection | None, int, int | None], _Answer]
"""Sends a request on a connection (None: any) that is due, and was intended, at these times; see `worker`.

It is sent by the call itself, where a connection is open; what is returned waits for the answer.
"""


class Pacing:
    """Begins the requests of one worker, each by a call of `perform`.

    draining:      set it to begin nothing more
    first_took_ns: how long the first complete answer took, None before it
    """

    def __init__(self, plan: LoadPlan, share: Share, pool: Pool, perform: _Perform) -> None:
        self._plan, self._share, self._pool, self._perform = plan, share, pool, perform
        self._hold = perform if plan.conversations is None else self._converse
        self.stock = Stock(plan, share)
        self.draining = False
        self.first_took_ns: int | None = None
        self._start_ns, self._ends_ns = 0, _NEVER_NS
        self._arrivals: OpenLoop | None = None

    async def run(self, start_ns: int) -> None:
        """Return when every request has ended."""
        self._start_ns = start_ns
        within = self._plan.duration_s
        self._ends_ns = _NEVER_NS if within is None else start_ns + round(within * 1e9)
        with closing(Sleeper(asyncio.get_running_loop())) as self._sleeper:
            await (self._open_loop() if self._plan.open_loop else self._closed_loop())

    async def _open_loop(self) -> None:
        """Begin each session at its planned time."""
        planned = enumerate(islice(self._plan.arrivals(), self._plan.number))
        moments = (self._start_ns + offset for index, offset in planned if self._share.owns(index))
        places = self._share.own_slots if self._plan.max_concurrency else None
        self._arrivals = OpenLoop(moments, places, self._begin, lambda: self._over)
        await self._arrivals.run()

    @property
    def next_ns(self) -> int | None:
        """When the next planned session begins; None where nothing is planned."""
        return None if self._arrivals is None else self._arrivals.next_ns

    @property
    def _closing(self) -> bool:
        """Whether no request may begin any more."""
        return self.draining or now_ns() >= self._ends_ns

    @property
    def _over(self) -> bool:
        """Whether no session begins any more."""
        return self._closing or self.stock.empty

    async def _until(self, at_ns: int, *, in_session: bool = False) -> None:
        """Sleep until then, or until it is over; an `asyncio.Event` would cost a task switch per request."""
        while (now := now_ns()) < at_ns and not (self._closing if in_session else self._over):
            await self._sleeper.until(min(at_ns, now + _NAP_NS))

    async def _closed_loop(self) -> None:
        """Keep every slot busy: each sends its next request when the one before has ended."""
        share = self._share
        at = self._start_ns + self._ramp_gap_ns() * share.worker
        async with asyncio.TaskGroup() as group:
            for slot in range(share.own_slots):
                await self._until(min(at, self._ends_ns))
                if self._over:
                    break  # a ramp does not outlast its run
                group.create_task(self._slot(share.worker + slot * share.workers))
                at += self._ramp_gap_ns() * share.workers

    def _ramp_gap_ns(self) -> int:
        """Return the time between the starts of two slots of the run, whosever they are.

        Slots that all start in one turn of the loop delay each other's first byte, in any client, and the server's
        lock-step answers then do it again. So the start takes one answer's time, or 5 ms a slot where that is less.
        """
        if self._plan.ramp_s is not None:
            return round(self._plan.ramp_s * 1e9 / self._plan.parallel)
        took = self.first_took_ns
        return _RAMP_GAP_NS if took is None else min(_RAMP_GAP_NS, took // self._plan.parallel)

    async def _slot(self, slot: int) -> None:
        due = now_ns()
        connection: Connection | None = None
        while (opens := self._plan.slot_opens_ns(slot, max(due - self._start_ns, 0))) is not None:
            if self._start_ns + opens > due:
                await self._until(due := self._start_ns + opens)
            if (prepared := self._take()) is None:
                break
            connection, raw = await self._hold(prepared, connection, due, None)
            due, where = raw.ended_ns + self._plan.think_ns(raw.index), prepared.session % self._pool.endpoints
            if connection is None:
                due += self._pool.pause_ns(where)
                await self._until(due)
            elif self._plan.think_time is not None:
                self._pool.put_back(connection, where)
                connection = None
                await self._until(due)
            elif self._pool.endpoints > 1:  # the next one goes elsewhere
                self._pool.put_back(connection, where)
                connection = None

    def _converse(self, prepared: Prepared, connection: Connection | None, due: int, intended: int | None) -> _Answer:
        """Begin a conversation: each turn is sent once the answers before it are there. Return as `perform` does."""
        answer = self._perform(prepared, connection, due, intended)
        return self._conversation(prepared, answer, due if intended is None else intended)

    async def _conversation(self, prepared: Prepared, answer: _Answer, began_ns: int) -> tuple[Connection | None, Raw]:
        session = Session(self._plan, prepared, began_ns)
        async with asyncio.TaskGroup() as group:
            for number in session.at_once:
                group.create_task(self._beside(session, number, group))
            connection, raw = await answer
            connection = await self._follow(session, session.end(prepared, raw), group, connection)
        return connection, session.last or raw

    async def _follow(
        self, session: Session, ready: list[int], group: asyncio.TaskGroup, connection: Connection | None
    ) -> Connection | None:
        """Send a turn that may be sent, then what follows it, and so on; others that may be are sent meanwhile.

        Return the connection if it is reusable.
        """
        while ready:
            number, *others = ready
            for other in others:
                group.create_task(self._beside(session, other, group))
            if (due := session.due_ns(number)) > now_ns():
                self._put_back(session, connection)
                connection = None
                await self._until(due, in_session=True)
            if self._closing:
                break
            turn = self.stock.next_turn(session.first, number, session.carried(number), session.echoed)
            connection, raw = await self._perform(turn, connection, due, None)
            ready = session.end(turn, raw)
        return connection

    async def _beside(self, session: Session, number: int, group: asyncio.TaskGroup) -> None:
        """Send a turn, and what follows it, while others of its conversation are under way."""
        self._put_back(session, await self._follow(session, [number], group, None))

    def _put_back(self, session: Session, connection: Connection | None) -> None:
        if connection is not None:
            self._pool.put_back(connection, session.first.session % self._pool.endpoints)

    def _begin(self, due: int, intended: int) -> Coroutine[object, object, None] | None:
        """Send the first request of a session; return what waits for the session's end, None when there are no more."""
        if (prepared := self._take()) is None:
            return None
        where = prepared.session % self._pool.endpoints
        session = self._hold(prepared, None, due, intended)
        self._pool.keep_spare(where)
        return self._arrival(session, where)

    async def _arrival(self, session: _Answer, where: int) -> None:
        connection, _ = await session
        if connection is not None:
            self._pool.put_back(connection, where)

    def _take(self) -> Prepared | None:
        """Return the next request; None when there are no more, or no more may begin."""
        return None if self._over else self.stock.take()
