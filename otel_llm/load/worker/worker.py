"""One loop that sends requests and receives packets, and does nothing else.

A worker runs in a process of its own. What it has measured leaves by a channel in batches; files, telemetry and the
display are the coordinator's, so that nothing of that stands between a packet and its stamp.
"""

import asyncio
import contextlib
import gc
import math
import signal
import socket
import struct
from collections.abc import Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import msgspec

from otel_llm.clock import cpu_ns, now_ns
from otel_llm.errors import RemoteError
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.plan.share import Share
from otel_llm.load.worker.channel import DRAIN, GO, INTERRUPTS, Batch, LastWord, Outbox, Ready
from otel_llm.load.worker.exchange import CLOSED_IDLE, Exchange
from otel_llm.load.worker.message_exchange import MessageExchange, SocketExchange
from otel_llm.load.worker.pacing import Pacing
from otel_llm.load.worker.pool import Connection, Pool
from otel_llm.load.worker.prepared import Prepared
from otel_llm.load.worker.raw import Raw
from otel_llm.wire.loop import new_loop
from otel_llm.wire.repeats import Content

if TYPE_CHECKING:  # its library is loaded by those who use it
    from otel_llm.wire.websocket import WebSocketConnection

__all__ = ["work"]

_TICK_S: Final = 0.02
_SWEEP_TICKS: Final = 5
_FLUSH_TICKS: Final = 12
_CHECK_TICKS: Final = 50
_MANY: Final = 32
_MOMENT_NS: Final = 250_000
_SOON_NS: Final = 2_000_000
_AHEAD_NS: Final = 250_000_000
_POSTPONED_MOST: Final = 5
_QUIET_NS: Final = 100_000_000
_SPARE: Final = 8
_READY: Final = 64
_BURST: Final = 512
_AFTER_END_NS: Final = 1_000_000_000
_EXCHANGES: Final[Mapping[str, type[Exchange]]] = {
    "http": Exchange,
    "grpc": MessageExchange,
    "websocket": SocketExchange,
}


def work(plan: LoadPlan, share: Share, sock: socket.socket, file: int | None) -> None:
    """Run one worker to its end, as a process. `file` takes messages that the coordinator is not ready for."""
    for number in INTERRUPTS:  # Ctrl-C reaches every process; who is to stop is told by the channel
        signal.signal(number, signal.SIG_IGN)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_Worker(plan, share).run(sock, file))


class _Worker:
    def __init__(self, plan: LoadPlan, share: Share) -> None:
        self.plan, self.share = plan, share
        self.burst = max(min(share.of(plan.burst), _BURST), _SPARE)
        self.pool = Pool(plan, _SPARE if plan.moments is None else self.burst)  # of given moments, bursts come again
        self.pacing = Pacing(plan, share, self.pool, self.perform)
        self.exchange = _EXCHANGES[plan.target.carrier]
        asked = ((plan.leaving, self.leave), (plan.barge_in, self.barge_in))
        self.early_ends = [(early, end) for early, end in asked if early is not None]
        self.echo = None if plan.session_echo is None else plan.session_echo.lower().encode()
        self.live: dict[Exchange, _Asked] = {}
        self.ended: list[Raw] = []
        self.loop_lag_ns: list[int] = []
        self.sent = self.in_flight = self.failed = self.ticks = self.postponed = 0
        self.refilling = False
        self.preparing_ns = 0
        """How long a request takes to be prepared: of late ones, the longest."""
        self.tick_due_ns = 0
        self.began_cpu_ns, self.began_waited_ns = cpu_ns(), _waited_ns()
        """What this process had taken before: one that was not forked has loaded its modules."""
        self.next_tick: asyncio.TimerHandle | None = None

    # -- its life ----------------------------------------------------------------------------------------------

    async def run(self, sock: socket.socket, file: int | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.go: asyncio.Future[int] = self.loop.create_future()
        self.stopped = False
        self.main: asyncio.Task[None] | None = None
        self.outbox = await Outbox.open(sock, self.word, file)
        if not self.stopped:
            self.main = asyncio.create_task(self.live_on())
            with contextlib.suppress(asyncio.CancelledError):
                await self.main
        if self.next_tick is not None:
            self.next_tick.cancel()
        self.flush()
        self.pool.close()
        cpu, waited = cpu_ns() - self.began_cpu_ns, _waited_ns() - self.began_waited_ns
        self.outbox.send(LastWord(cpu, waited, self.pool.stamps, self.pool.clock.steps))
        await self.outbox.close()

    async def live_on(self) -> None:
        """Get ready, wait for the start, do the requests. Cancelled when the worker is to stop."""
        ready = await self.warm_up()
        self.pacing.stock.refill(_READY)
        gc.collect()
        gc.freeze()
        if self.plan.target.carrier == "http" and not self.plan.http2:  # what others are made of is in cycles
            gc.disable()  # nothing made per packet or per request is cyclic, and a collection would be read as a stall
        self.outbox.send(ready)
        start_ns = await self.go
        self.tick_due_ns = now_ns()
        self.tick()
        await self.pacing.run(start_ns)

    def word(self, word: bytes) -> None:
        """Obey the coordinator: go (with the start), or drain; anything else, or its end, means stop."""
        said = bool(word)
        if word[:1] == GO and not self.go.done():
            self.go.set_result(struct.unpack("!q", word[1:9])[0])
            word = word[9:]
        if word[:1] == DRAIN:
            self.pacing.draining, word = True, word[1:]
        if said and not word:
            return
        self.stopped = self.pacing.draining = True
        for exchange, asked in list(self.live.items()):
            asked.connection.settle()
            exchange.cancel()
            asked.connection.close()
        if self.main is not None:
            self.loop.call_soon(self.main.cancel)  # once tasks of what was just sent wait for it

    async def warm_up(self) -> Ready:
        """Open the first connections before the run begins, some at a time."""
        plan, own = self.plan, self.share.of(self.plan.number)
        if not plan.open_loop:
            wanted = min(own, self.share.own_slots)
        else:
            wanted = min(own, self.burst, self.share.own_slots if plan.max_concurrency else own)
        opened, refused = await self.pool.fill(wanted)
        return Ready(opened, (refused.kind, str(refused)) if refused is not None and not opened else None)

    def tick(self) -> None:
        """Do what no packet triggers: measure the loop's lateness, check timeouts and clock, send what has ended."""
        now = now_ns()
        self.loop_lag_ns.append(max(now - self.tick_due_ns, 0))
        self.tick_due_ns = now + round(_TICK_S * 1e9)
        self.next_tick = self.loop.call_later(_TICK_S, self.tick)
        if (due := self.pacing.next_ns) is not None:
            if due - now < _AHEAD_NS:
                self.pool.keep_fresh(due)
            if due - now < _SOON_NS and self.postponed < _POSTPONED_MOST:  # other work would delay it
                self.postponed += 1
                return
        self.postponed = 0
        self.ticks += 1
        self.settle_some()
        if self.ticks % _CHECK_TICKS == 0:
            self.pool.clock.check()
        if self.ticks % _SWEEP_TICKS == 0:
            self.sweep(now)
        if self.ticks % _FLUSH_TICKS == 0 or len(self.ended) >= _MANY:
            self.flush()

    def settle_some(self) -> None:
        """Process held-back reads for a moment; process the rest after the packets that have arrived meanwhile."""
        ripe, until = self.pool.ripe, now_ns() + _MOMENT_NS
        while ripe:
            ripe.pop().settle()
            if ripe and now_ns() > until:
                self.loop.call_soon(self.settle_some)
                return

    def sweep(self, now: int) -> None:
        """Process held-back reads of quiet streams; end requests that have waited too long, or taken too long."""
        plan = self.plan
        limit, whole = plan.read_timeout_s * 1e9, (plan.request_timeout_s or math.inf) * 1e9
        for exchange, asked in list(self.live.items()):
            connection = asked.connection
            quiet = now - connection.last_ns
            if quiet > _QUIET_NS:
                connection.settle()
                connection.look()
            if exchange.over and quiet > _AFTER_END_NS:
                connection.close()
                exchange.finish()
            elif quiet > limit:
                connection.close()
                exchange.fail("read_timeout", f"nothing arrived for {plan.read_timeout_s:g} s", now)
            elif now - exchange.raw.sent_ns > whole:
                connection.settle()
                connection.close()
                exchange.fail("request_timeout", f"no end within {plan.request_timeout_s:g} s", now)

    def flush(self) -> None:
        self.outbox.send(Batch(self.ended, self.sent, self.in_flight, self.loop_lag_ns))
        self.ended, self.loop_lag_ns = [], []

    # -- one request -------------------------------------------------------------------------------------------

    def perform(
        self, prepared: Prepared, connection: Connection | None, due: int, intended: int | None
    ) -> Coroutine[object, object, tuple[Connection | None, Raw]]:
        """Send one request, at once where a connection is open; return what waits for its end.

        That returns the connection if it is reusable, and what was noted.
        """
        raw = Raw(prepared.index, prepared.trace_id, prepared.span_id, due, intended, body=prepared.body)
        if prepared.problem is not None:
            return self.answered(prepared, connection, raw, None)
        if connection is None or not connection.open:
            connection = self.pool.take(prepared.session % self.pool.endpoints)
        asked = None if connection is None else self.ask(raw, prepared, connection, kept=True)
        return self.answered(prepared, connection, raw, asked)

    async def answered(
        self, prepared: Prepared, connection: Connection | None, raw: Raw, asked: "_Asked | None"
    ) -> tuple[Connection | None, Raw]:
        """Wait for the end of a request that was sent, or (None) still has to be.

        A connection that was kept may have been closed by its server meanwhile, as any client finds out only when it
        has sent. Then the request is sent once more, on a new one.
        """
        if prepared.problem is not None:
            return connection, self.unsent(raw, "plugin_error", prepared.problem)
        if asked is not None:
            await self.end(asked)
            if raw.error_type != CLOSED_IDLE:
                return asked.connection if asked.connection.open else None, raw
            raw = Raw(raw.index, raw.trace_id, raw.span_id, raw.ended_ns, raw.intended_ns, body=raw.body, resent=True)
        try:
            connection = await self.pool.connect(prepared.session % self.pool.endpoints)
        except RemoteError as error:
            return None, self.unsent(raw, error.kind, str(error))
        await self.end(self.ask(raw, prepared, connection))
        return connection if connection.open else None, raw

    def unsent(self, raw: Raw, kind: str, message: str) -> Raw:
        """End a request that cannot be sent."""
        raw.outcome, raw.error_type, raw.error_message, raw.unsent = "error", kind, message, True
        raw.sent_ns = raw.ended_ns = now_ns()
        self.hand_over(raw)
        return raw

    def ask(self, raw: Raw, prepared: Prepared, connection: Connection, *, kept: bool = False) -> "_Asked":
        """Send on a connection."""
        raw.connect_ns = None if connection.used else connection.connect_ns
        raw.content = Content() if self.plan.keep_events else None
        done: asyncio.Future[None] = self.loop.create_future()
        plan = self.plan
        exchange = self.exchange(
            raw,
            plan.protocol(),
            partial(_settle, done),
            stream=plan.stream,
            finish_reason=plan.finish_reason,
            kept=kept,
        )
        if self.echo is not None:
            exchange.echo(self.echo)
        self.live[exchange] = asked = _Asked(exchange, connection, done)
        self.sent += not raw.resent
        self.in_flight += 1
        raw.sent_ns = connection.send(prepared.wire, exchange)
        self.refill_soon()
        for early, end in self.early_ends:
            if early.takes(plan.seed, raw.index):
                asked.ends.append(self.loop.call_later(early.after_s, end, exchange, connection))
        return asked

    async def end(self, asked: "_Asked") -> None:
        """Wait for the end of an answer."""
        try:
            await asked.done
        finally:
            self.conclude(asked)

    def conclude(self, asked: "_Asked") -> None:
        """Hand over the notes of a request that has ended, or ends here."""
        exchange, connection = asked.exchange, asked.connection
        for end in asked.ends:
            end.cancel()
        self.in_flight -= 1
        del self.live[exchange]
        connection.settle()
        connection.peer = None
        exchange.cancel()
        if exchange.raw.error_type != CLOSED_IDLE:
            self.hand_over(exchange.raw)
        if not exchange.reusable or self.plan.new_connection:
            connection.close()

    def refill_soon(self) -> None:
        """Prepare requests to come, after what is ready in this turn of the loop."""
        if not self.refilling:
            self.refilling = True
            self.loop.call_soon(self.refill)

    def refill(self) -> None:
        """Prepare requests to come, in an open loop while there is time for it before the next one is due."""
        self.refilling = False
        due, began = self.pacing.next_ns, now_ns()
        if due is None:
            self.pacing.stock.refill()
        elif due - began > max(2 * self.preparing_ns, _MOMENT_NS) and self.pacing.stock.refill(1):
            self.preparing_ns = max(now_ns() - began, self.preparing_ns * 7 // 8)
            self.refill_soon()

    def leave(self, exchange: Exchange, connection: Connection) -> None:
        """End a request whose user has left, with all that has come by now."""
        connection.settle()
        exchange.leave()

    def barge_in(self, exchange: Exchange, connection: Connection) -> None:
        """Have the server stop an answer, as soon as it has begun."""
        if not exchange.open:
            return
        connection.settle()
        exchange, connection = cast("SocketExchange", exchange), cast("WebSocketConnection", connection)
        if (message := exchange.stopping()) is None:
            self.loop.call_later(_TICK_S, self.barge_in, exchange, connection)
        elif exchange.open:
            exchange.raw.stop_ns = connection.say(message)

    def hand_over(self, raw: Raw) -> None:
        if self.pacing.first_took_ns is None and raw.outcome == "complete":
            self.pacing.first_took_ns = raw.ended_ns - raw.sent_ns
        self.ended.append(raw)
        if self.plan.max_errors is not None and raw.outcome == "error":
            self.failed += 1
            self.flush()  # at once: a server that refuses is asked a thousand times a second
            self.pacing.draining |= self.failed >= self.plan.max_errors


class _Asked(msgspec.Struct, frozen=True, eq=False):
    """A request on its way. `ends` are the timers that end it early."""

    exchange: Exchange
    connection: Connection
    done: "asyncio.Future[None]"
    ends: list[asyncio.TimerHandle] = []  # msgspec makes a list for each


def _settle(done: "asyncio.Future[None]") -> None:
    """Resolve the future of a request, unless the task that awaits it was cancelled, which cancels the future too."""
    if not done.done():
        done.set_result(None)


def _waited_ns() -> int:
    """Return how long this process waited for a core, ns; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/schedstat").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0
