"""An open loop: each session begins at its planned moment, whatever has come back.

What is due is sent in the callback of the timer itself. A task that the timer only woke would send after everything
that the loop found ready in the same turn, and so would the next one: of arrivals that come together, each would wait
for the packets of all the others.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Final

from otel_llm.clock import now_ns
from otel_llm.wire.alarm import make_alarm

__all__ = ["OpenLoop"]

_NAP_NS: Final = 200_000_000
_MOMENT_NS: Final = 1_000_000
"""For how long what is due is sent in a row; then the loop has a turn, and reads what has arrived."""

Begin = Callable[[int, int], Coroutine[object, object, object] | None]
"""Sends what comes next, given when it was due and when it was meant to be sent, in ns of the monotonic clock.

Returns what waits for its end, or None when there is nothing more to send.
"""


class OpenLoop:
    """Begins a session at each of some moments, in ascending order.

    places:  how many sessions may be under way at a time; None: any number
    over:    says whether nothing is to begin any more
    next_ns: the moment that comes next, None after the last
    """

    def __init__(self, moments: Iterator[int], places: int | None, begin: Begin, over: Callable[[], bool]) -> None:
        self._moments, self._places, self._begin, self._over = moments, places, begin, over
        self._waits = False
        self._freed_ns = 0
        self.next_ns = next(moments, None)

    async def run(self) -> None:
        """Return when every session has ended."""
        loop = asyncio.get_running_loop()
        self._all_begun: asyncio.Future[None] = loop.create_future()
        self._alarm = make_alarm(loop, self._ring)
        try:
            async with asyncio.TaskGroup() as self._sessions:
                self._ring()
                await self._all_begun
        finally:
            self._alarm.close()

    def _ring(self) -> None:
        """Begin what is due, and set the alarm for what comes next."""
        if self._all_begun.done():
            return
        try:
            rings_ns = self._begin_due()
        except Exception as error:  # a callback has nobody to raise it to
            self._all_begun.set_exception(error)
            rings_ns = None
        else:
            if rings_ns is None:
                self._all_begun.set_result(None)
        self._alarm.set(rings_ns)

    def _begin_due(self) -> int | None:
        """Begin what is due; return when to go on, None for never."""
        now = now_ns()
        until = now + _MOMENT_NS
        while self.next_ns is not None and not self._over():
            if self.next_ns > now:
                return min(self.next_ns, now + _NAP_NS)
            if self._places == 0:
                self._waits = True
                return now + _NAP_NS
            if now > until:
                return now
            intended = self.next_ns
            # a wait for a place, and behind one who waits, is no lateness of ours
            session = self._begin(max(intended, self._freed_ns), intended)
            if session is None:
                return None
            self._sessions.create_task(self._hold(session))
            if self._places is not None:
                self._places -= 1
            self.next_ns = next(self._moments, None)
            now = now_ns()
        return None

    async def _hold(self, session: Coroutine[object, object, object]) -> None:
        await session
        if self._places is None:
            return
        self._places += 1
        if self._waits:
            self._waits, self._freed_ns = False, now_ns()
            self._ring()
