"""When requests begin: a closed loop keeps its slots busy, an open loop follows planned times."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Final

from otel_llm.clock import now_ns
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.worker.pool import Connection, Pool
from otel_llm.load.worker.stock import Prepared, Share, Stock

__all__ = ["Pacing"]

_RAMP_GAP_NS: Final = 5_000_000
_NAP_S: Final = 0.2
_NEVER_NS: Final = 1 << 62

_Perform = Callable[[Prepared, Connection | None, int, int | None], Awaitable[tuple[Connection | None, int]]]
"""Sends a request on a connection (None: any) that is due, and was intended, at these times; see `worker`."""


class Pacing:
    """Begins the requests of one worker, each by a call of `perform`.

    draining:      set it to begin nothing more
    first_took_ns: how long the first complete answer took, None before it
    """

    def __init__(self, plan: LoadPlan, share: Share, pool: Pool, perform: _Perform) -> None:
        self._plan, self._share, self._pool, self._perform = plan, share, pool, perform
        self.stock = Stock(plan, share)
        self.draining = False
        self.first_took_ns: int | None = None
        self._start_ns, self._ends_ns = 0, _NEVER_NS
        self._over = False
        """Whether there is nothing more to begin."""

    async def run(self, start_ns: int) -> None:
        """Return when every request has ended."""
        self._start_ns = start_ns
        within = self._plan.duration_s
        self._ends_ns = _NEVER_NS if within is None else start_ns + round(within * 1e9)
        await (self._open_loop() if self._plan.open_loop else self._closed_loop())

    async def _until(self, at_ns: int) -> None:
        """Sleep until then, or until the worker drains; an `asyncio.Event` would cost a task switch per request."""
        while (delay := at_ns - now_ns()) > 0 and not (self.draining or self._over):  # noqa: ASYNC110
            await asyncio.sleep(min(delay / 1e9, _NAP_S))

    async def _closed_loop(self) -> None:
        """Keep every slot busy: each sends its next request when the one before has ended."""
        slots = self._share.of(self._plan.parallel)
        at = self._start_ns + self._ramp_gap_ns(slots) * self._share.worker // self._share.workers
        async with asyncio.TaskGroup() as group:
            for _ in range(slots):
                await self._until(min(at, self._ends_ns))
                if self._over or self.draining or now_ns() >= self._ends_ns:
                    break  # a ramp does not outlast its run
                group.create_task(self._slot())
                at += self._ramp_gap_ns(slots)

    def _ramp_gap_ns(self, slots: int) -> int:
        """Return the time between the starts of two slots.

        Slots that all start in one turn of the loop delay each other's first byte, in any client, and the server's
        lock-step answers then do it again. So the start takes one answer's time, or 5 ms a slot where that is less.
        """
        if self._plan.ramp_s is not None:
            return round(self._plan.ramp_s * 1e9 / slots)
        gap = _RAMP_GAP_NS * self._share.workers
        return gap if self.first_took_ns is None else min(gap, self.first_took_ns // slots)

    async def _slot(self) -> None:
        due = now_ns()
        connection: Connection | None = None
        while (prepared := self._take()) is not None:
            connection, due = await self._perform(prepared, connection, due, None)
            if connection is not None and self._pool.endpoints > 1:  # the next one goes elsewhere
                self._pool.put_back(connection, prepared.index % self._pool.endpoints)
                connection = None

    async def _open_loop(self) -> None:
        """Send each request at its planned time, whatever has come back."""
        most = self._plan.max_concurrency
        limit = asyncio.Semaphore(max(self._share.of(most), 1)) if most else None
        own = islice(self._plan.arrivals(), self._share.worker, self._plan.number, self._share.workers)
        freed_ns = 0
        async with asyncio.TaskGroup() as group:
            for offset in own:
                intended = self._start_ns + offset
                await self._until(intended)
                if limit is not None:
                    if limit.locked():
                        await limit.acquire()
                        freed_ns = now_ns()
                    else:
                        await limit.acquire()
                due = max(intended, freed_ns)  # a wait for a place, and behind one who waits, is no lateness of ours
                if (prepared := self._take()) is None:
                    break
                group.create_task(self._arrival(prepared, intended, due, limit))

    async def _arrival(self, prepared: Prepared, intended: int, due: int, limit: asyncio.Semaphore | None) -> None:
        where = prepared.index % self._pool.endpoints
        performing = self._perform(prepared, self._pool.take(where), due, intended)
        self._pool.keep_spare(where)
        connection, _ = await performing
        if connection is not None:
            self._pool.put_back(connection, where)
        if limit is not None:
            limit.release()

    def _take(self) -> Prepared | None:
        """Return the next request; None when there are no more, or no more may begin."""
        found = None if self.draining or now_ns() >= self._ends_ns else self.stock.take()
        self._over = found is None
        return found
