"""One queue with the next write of every answer, ordered by time, and one alarm for the earliest of them.

A write costs a system call, and a timer for each write would cost as much again. An answer is in the queue at most
once, with its next write.
"""

import asyncio
from heapq import heappop, heappush
from itertools import count
from typing import Final, Protocol

from otel_llm.clock import now_ns
from otel_llm.wire.alarm import make_alarm

__all__ = ["Player", "Wheel"]

# Writes due within this time share a wake-up, which costs more than a write does; it adds at most this much lateness.
_REST_NS: Final = 250_000
# So many writes, then the loop has a turn: requests are read, and connections closed, in between.
_BATCH: Final = 256


class Player(Protocol):
    """A sequence of writes."""

    def play(self, now: int) -> int | None:
        """Make the next write; return when the one after it is due, in ns of the monotonic clock, None at the end."""
        ...


class Wheel:
    """Plays players on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._queue: list[tuple[int, int, Player]] = []
        self._order = count()
        self._alarm = make_alarm(loop, self._ring)
        self._set_ns = 0  # when the alarm rings, 0 for never

    def add(self, due_ns: int, player: Player) -> None:
        """Play `player` for the first time at `due_ns`."""
        heappush(self._queue, (due_ns, next(self._order), player))
        if not self._set_ns or due_ns < self._set_ns:
            self._set(due_ns)

    def _set(self, at_ns: int) -> None:
        self._set_ns = at_ns
        self._alarm.set(at_ns or None)

    def _ring(self) -> None:
        queue, order = self._queue, self._order
        now = now_ns()
        for _ in range(_BATCH):
            if not queue or queue[0][0] > now:
                break
            player = heappop(queue)[2]
            due = player.play(now)
            now = now_ns()
            if due is not None:
                # A late one goes behind those that are late already, so that answers without pauses take turns.
                heappush(queue, (due if due > now else now, next(order), player))  # noqa: FURB136 (max costs a call)
        if not queue:
            self._set(0)
        elif queue[0][0] <= now:
            self._set(now)
        else:
            self._set(max(queue[0][0], now + _REST_NS))

    def close(self) -> None:
        """Stop: no further write is made."""
        self._queue.clear()
        self._alarm.close()
