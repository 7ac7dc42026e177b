"""Plays one answer: makes each of its writes at its time, and notes in the row when."""

from collections.abc import Callable, Iterator
from typing import Final

from otel_llm.clock import now_ns
from otel_llm.sim.client_connection import ClientConnection
from otel_llm.sim.truth import LEFT, STOPPED, SentRow
from otel_llm.sim.wheel import Wheel
from otel_llm.sim.writes import Write

__all__ = ["AnswerPlayer"]

_POLL_NS: Final = 1_000_000  # how often a client that reads too slowly is tried again


class AnswerPlayer:
    """Calls `over(row)` exactly once: after the last write, when it cut the connection, or when the client left."""

    def __init__(
        self, connection: ClientConnection, row: SentRow, over: Callable[[SentRow], None], *, keep_alive: bool
    ) -> None:
        self._connection, self._row, self._over, self._keep_alive = connection, row, over, keep_alive
        self._writes: Iterator[Write] = iter(())
        self._write: Write = (0, b"", -1, 0)
        self._start, self._blocked = 0, False
        self._stop_ns = 0
        self._stopped: Callable[[int], tuple[bytes, int]]
        connection.on_lost = self._left

    def begin(self, writes: Iterator[Write], start_ns: int, wheel: Wheel) -> None:
        """Play `writes`, whose times count from `start_ns`."""
        self._row.start = self._start = start_ns
        self._writes, self._write = writes, next(writes)
        wheel.add(start_ns + self._write[0], self)

    def stop_by(self, ending: Callable[[int], tuple[bytes, int]], after_ns: int, wheel: Wheel) -> None:
        """Let the client have the answer stopped.

        ending: returns what is said then after so many tokens; after_ns: how long it goes on before
        """

        def stop() -> None:
            self._row.stop = now_ns()
            self._stop_ns = self._row.stop + after_ns
            wheel.add(self._stop_ns, self)  # beside the next write, which may be due later

        self._stopped, self._connection.on_stop = ending, stop

    def play(self, now: int) -> int | None:
        connection, row = self._connection, self._row
        due, data, tokens, events = self._write
        if row.end:
            return None
        if connection.blocked():
            self._blocked = True
            return now + _POLL_NS
        if self._stop_ns and now >= self._stop_ns:
            self._stop(now)
            return None
        if data is None:
            self._end(due)
            connection.cut()
            return None
        self._send(now, due, data, tokens, events)
        following = next(self._writes, None)
        if following is None:
            self._end(due)
            connection.finished(keep_alive=self._keep_alive)
            return None
        self._write = following
        return self._start + following[0]

    def _send(self, now: int, due: int, data: bytes, tokens: int, events: int) -> None:
        self._connection.send(data)
        if tokens >= 0:
            row, recv = self._row, self._row.recv
            row.bytes += len(data)
            row.stamps.extend((now - recv, now_ns() - recv, tokens, events, self._start + due - recv))

    def _stop(self, now: int) -> None:
        row = self._row
        data, events = self._stopped(row.tokens)
        self._send(now, self._stop_ns - self._start, data, row.tokens, row.events + events)
        row.err = STOPPED
        self._end()
        self._connection.finished(keep_alive=True)

    def _left(self) -> None:
        self._row.err = LEFT
        self._end()

    def _end(self, due: int | None = None) -> None:
        row = self._row
        if not row.end:
            row.end = now_ns()
            row.free = row.end if due is None or self._blocked else self._start + due
            self._connection.on_lost = self._connection.on_stop = None
            self._over(row)
