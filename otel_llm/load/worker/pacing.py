"""When requests begin: a closed loop keeps its slots busy, an open loop follows planned times.

What a slot or a planned time begins is a session: one request, or a conversation, whose turns follow each other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from itertools import islice
from typing import Final

from otel_llm.clock import now_ns
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.plan.share import Share
from otel_llm.load.worker.pool import Connection, Pool
from otel_llm.load.worker.prepared import Prepared
from otel_llm.load.worker.raw import Raw
from otel_llm.load.worker.session import Session
from otel_llm.load.worker.stock import Stock
from otel_llm.wire.alarm import Sleeper

__all__ = ["Pacing"]

_RAMP_GAP_NS: Final = 5_000_000
_NAP_S: Final = 0.2
_NEVER_NS: Final = 1 << 62

_Perform = Callable[[Prepared, Connection | None, int, int | None], Awaitable[tuple[Connection | None, Raw]]]
"""Sends a request on a connection (None: any) that is due, and was intended, at these times; see `worker`."""


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

    async def run(self, start_ns: int) -> None:
        """Return when every request has ended."""
        self._start_ns = start_ns
        within = self._plan.duration_s
        self._ends_ns = _NEVER_NS if within is None else start_ns + round(within * 1e9)
        if self._plan.open_loop:
            with closing(Sleeper(asyncio.get_running_loop())) as sleeper:
                await self._open_loop(sleeper)
        else:
            await self._closed_loop()

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
        while (delay := at_ns - now_ns()) > 0 and not (self._closing if in_session else self._over):  # noqa: ASYNC110
            await asyncio.sleep(min(delay / 1e9, _NAP_S))

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

    async def _converse(
        self, prepared: Prepared, connection: Connection | None, due: int, intended: int | None
    ) -> tuple[Connection | None, Raw]:
        """Hold a conversation: each turn is sent once the answers before it are there. Return as `perform` does."""
        session = Session(self._plan, prepared, due if intended is None else intended)
        async with asyncio.TaskGroup() as group:
            for number in session.at_once:
                group.create_task(self._beside(session, number, group))
            connection, raw = await self._perform(prepared, connection, due, intended)
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

    async def _open_loop(self, sleeper: Sleeper) -> None:
        """Begin each session at its planned time, whatever has come back."""
        limit = asyncio.Semaphore(self._share.own_slots) if self._plan.max_concurrency else None
        planned = enumerate(islice(self._plan.arrivals(), self._plan.number))
        moments = (self._start_ns + offset for index, offset in planned if self._share.owns(index))
        async with asyncio.TaskGroup() as group:
            await self._arrivals(moments, sleeper, limit, group)

    async def _arrivals(
        self, moments: Iterator[int], sleeper: Sleeper, limit: asyncio.Semaphore | None, group: asyncio.TaskGroup
    ) -> None:
        """Begin a session at each of these moments.

        A task that has slept until a moment sends at once, and another one waits for the moments after it: a task that
        only started others would have each send wait for one more turn of the loop, and so for what has arrived.
        """
        freed_ns = 0
        for intended in moments:
            slept = False
            while (now := now_ns()) < intended and not self._over:
                await sleeper.until(min(intended, now + round(_NAP_S * 1e9)))
                slept = True
            if limit is not None:
                full = limit.locked()
                await limit.acquire()
                if full:
                    freed_ns = now_ns()
            due = max(intended, freed_ns)  # a wait for a place, and behind one who waits, is no lateness of ours
            if (prepared := self._take()) is None:
                return
            arrival = self._arrival(prepared, due, intended, limit)
            if slept and freed_ns <= intended:
                group.create_task(self._arrivals(moments, sleeper, limit, group))
                await arrival
                return
            group.create_task(arrival)

    async def _arrival(self, prepared: Prepared, due: int, intended: int, limit: asyncio.Semaphore | None) -> None:
        where = prepared.session % self._pool.endpoints
        performing = self._hold(prepared, self._pool.take(where), due, intended)
        self._pool.keep_spare(where)
        connection, _ = await performing
        if connection is not None:
            self._pool.put_back(connection, where)
        if limit is not None:
            limit.release()

    def _take(self) -> Prepared | None:
        """Return the next request; None when there are no more, or no more may begin."""
        return None if self._over else self.stock.take()
