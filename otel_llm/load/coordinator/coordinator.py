"""The coordinator: starts the workers, takes their messages, and accounts for every planned request.

It runs in the process that a person started. Writing files, exporting telemetry and drawing happen there too, so that
none of it delays a stamp.
"""

import selectors
import struct
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace

from otel_llm.clock import now_ns
from otel_llm.errors import ConfigError
from otel_llm.load.asked import LazyRequests
from otel_llm.load.coordinator.crew import Crew, Started
from otel_llm.load.coordinator.descriptors import raise_descriptor_limit
from otel_llm.load.coordinator.interrupts import Interrupts
from otel_llm.load.coordinator.reckoning import FinishedCall, Reckoning
from otel_llm.load.coordinator.start import start_of
from otel_llm.load.figures.counting import Counting
from otel_llm.load.figures.health import Health
from otel_llm.load.figures.machines import Machine
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.worker.channel import DRAIN, GO, STOP, Batch, Inbox, LastWord, Message, Ready
from otel_llm.load.worker.stock import deal

__all__ = ["Coordinator", "warm_up"]

_POLL_S = 0.1
_PATIENCE_NS = 3_000_000_000
_HURRIED_NS = 500_000_000
_GOING_NS = 2_000_000_000


Finished = Callable[[Sequence[FinishedCall], Machine | None], object]
"""Gets requests that ended, and the machine that sent them, None where that is this one."""


@dataclass(slots=True)
class _Worker:
    number: int
    started: Started
    inbox: Inbox
    machine: Machine | None
    ready: bool = False
    sent: int = 0
    in_flight: int = 0
    heard_ns: int = 0
    ended: bool = False


class Coordinator:
    """Runs a plan in worker processes. Call `start`, then `run` once, and always `close`.

    machines: those on which workers run, if there are others than this one
    """

    def __init__(self, plan: LoadPlan, crew: Crew, counting: Counting | None = None) -> None:
        """Raises ConfigError for a closed loop of more connections than a process may open.

        counting: counts tokens where the server does not; None leaves them unknown
        """
        self.plan, self._crew = plan, crew
        self.machines: dict[str, Machine] = {}
        self._reckoning = Reckoning(plan, counting)
        self._shares = deal(plan)
        if not self._shares:
            raise ConfigError("a session for every shard", f"fewer than {plan.share.workers}", "share among fewer")
        raise_descriptor_limit(plan, self._shares)
        self.health = Health(len(self._shares))
        self.start_ns: int | None = None
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()

    @property
    def sent(self) -> int:
        return sum(worker.sent for worker in self._workers)

    @property
    def in_flight(self) -> int:
        return sum(worker.in_flight for worker in self._workers)

    def start(self) -> None:
        """Start the processes. Call this before any thread is started: they may be forked."""
        for share, started in zip(self._shares, self._crew.start(self.plan, self._shares), strict=True):
            inbox = Inbox(None if started.file is None else started.file.fileno())
            worker = _Worker(share.worker, started, inbox, self._machine(started))
            self._workers.append(worker)
            self._selector.register(started.socket, selectors.EVENT_READ, worker)

    def _machine(self, started: Started) -> Machine | None:
        """Return the machine of a worker that runs on another one, with one worker more."""
        if started.host is None:
            return None
        machine = self.machines.setdefault(started.host.name, Machine(started.host.name, Health(0)))
        machine.health.workers += 1
        return machine

    def run(
        self,
        on_finished: Finished,
        on_turn: Callable[[], object],
        stopping: Callable[[], bool],
        hurried: Callable[[], bool] = lambda: False,
    ) -> Health:
        """Return when every worker has ended.

        `on_finished` gets the requests that ended since its last call, `on_turn` is called about ten times a second,
        and the workers are told to stop as soon as `stopping` says so. One that is silent for 3 s after that is killed,
        for half a second when `hurried`.
        """
        told_ns: int | None = None
        while any(not worker.ended for worker in self._workers):
            if told_ns is None and stopping():
                told_ns = self._stop()
            for worker, message in self._messages():
                if isinstance(message, Ready):
                    worker.ready = True
                    self.health.unreachable = self.health.unreachable or message.error
                elif isinstance(message, Batch):
                    self._take(worker, message, on_finished)
                else:
                    self._ended(worker, message)
            if told_ns is None and self.start_ns is None and all(each.ready or each.ended for each in self._workers):
                told_ns = self._begin()
            if told_ns is not None:
                self._give_up(now_ns() - (_HURRIED_NS if hurried() else _PATIENCE_NS), told_ns)
            on_turn()
        if told_ns is None:
            stopping()  # what ended them may have come with their last message
        for worker in self._workers:
            if worker.machine is not None and worker.machine.clock is None and worker.started.host is not None:
                worker.machine.clock = worker.started.host.clock.report()
        return self.health

    def drain(self) -> None:
        """Let workers begin no further request; those in flight go on."""
        self._say(DRAIN)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start time that the workers were given; 0 before it."""
        return 0.0 if self.start_ns is None else max(now_ns() - self.start_ns, 0) / 1e9

    def close(self) -> None:
        """Leave no process and no socket behind."""
        for worker in self._workers:
            worker.started.socket.close()
            if worker.started.file is not None:
                worker.started.file.close()
        until = now_ns() + _GOING_NS
        for worker in self._workers:
            process = worker.started.process
            if process.wait(max(until - now_ns(), 0) / 1e9) is None:
                process.kill()
                process.wait(_GOING_NS / 1e9)
        self._selector.close()

    def _begin(self) -> int | None:
        """Start the workers, or stop them when nobody could connect or it is too late; return when they were told."""
        start_ns, too_late = start_of(self.plan, self._crew.lead_ns)
        if too_late is not None:
            self.health.unreachable = self.health.unreachable or ("too_late", too_late)
        if self.health.unreachable is not None:
            return self._stop()
        self.start_ns = start_ns
        for worker in self._workers:
            self._tell(worker, GO + struct.pack("!q", start_ns + _ahead_ns(worker)))
        return None

    def _stop(self) -> int:
        self._say(STOP)
        return now_ns()

    def _give_up(self, silent_since_ns: int, told_ns: int) -> None:
        """Kill workers that were told to stop and have not been heard since."""
        for worker in self._workers:
            if not worker.ended and max(worker.heard_ns, told_ns) < silent_since_ns:
                worker.started.process.kill()
                self._gone(worker, "did not stop and was killed")

    def _say(self, word: bytes) -> None:
        for worker in self._workers:
            self._tell(worker, word)

    def _tell(self, worker: _Worker, word: bytes) -> None:
        if not worker.ended:
            with suppress(OSError):  # it is going away; its end of file says so
                worker.started.socket.sendall(word)

    def _messages(self) -> "list[tuple[_Worker, Message]]":
        found: list[tuple[_Worker, Message]] = []
        for key, _ in self._selector.select(_POLL_S):
            worker: _Worker = key.data
            try:
                data = key.fileobj.recv(1 << 20)  # type: ignore[union-attr]  # only sockets are registered
            except OSError:
                data = b""
            if data:
                worker.heard_ns = now_ns()
                found += [(worker, message) for message in worker.inbox.feed(data)]
            else:
                self._gone(worker)
        return found

    def _take(self, worker: _Worker, batch: Batch, on_finished: Finished) -> None:
        """Take what a worker has noted; moments come on its own clock."""
        worker.sent, worker.in_flight = batch.sent, batch.in_flight
        for health in self._healths(worker):
            health.loop_lag_ns += batch.loop_lag_ns
        if batch.ended:
            calls = self._reckoning.reckon(batch.ended)
            if ahead := _ahead_ns(worker):
                calls = [call._replace(record=call.record.moved(-ahead)) for call in calls]
            on_finished(calls, worker.machine)

    def _healths(self, worker: _Worker) -> list[Health]:
        """Return where what a worker says of itself is kept: of the run, and of its machine."""
        return [self.health] if worker.machine is None else [self.health, worker.machine.health]

    def _ended(self, worker: _Worker, message: LastWord) -> None:
        worker.ended, worker.in_flight = True, 0
        self._selector.unregister(worker.started.socket)
        for health in self._healths(worker):
            health.cpu_s += message.cpu_ns / 1e9
            health.waited_s += message.waited_ns / 1e9
            health.clocks.add(message.clock)
            health.clock_steps += message.clock_steps

    def _gone(self, worker: _Worker, how: str = "died") -> None:
        worker.ended, worker.in_flight = True, 0
        self._selector.unregister(worker.started.socket)
        code = worker.started.process.wait(2) or "exit code unknown"
        where = "" if worker.machine is None else f" on {worker.machine.name}"
        for health in self._healths(worker):
            health.died.append(f"worker {worker.number}{where} {how} ({code})")


def _ahead_ns(worker: _Worker) -> int:
    """Return how much more the clock of a worker's machine reads than ours."""
    return 0 if worker.started.host is None else worker.started.host.clock.ahead_ns


def warm_up(plan: LoadPlan, interrupts: Interrupts, crew: Crew) -> dict[str, int] | None:
    """Send the plan's warm-up, as many requests at a time as the run will have in flight; return how they ended.

    It is a closed loop without a ramp, on its own connections. With `--cache-bust` its prompts differ from the run's.
    Of conversations only the first turns are sent.
    """
    if not plan.warmup:
        return None
    parallel = (plan.max_concurrency or 1) if plan.open_loop else plan.parallel
    requests = plan.requests
    warming = replace(
        plan, requests=requests.apart("warm-up") if isinstance(requests, LazyRequests) else requests,
        number=plan.warmup, rate=None, moments=None, levels=None, ramp_s=None, duration_s=None, start_at_ns=None,
        parallel=min(parallel, plan.warmup), keep_events=False, warmup=0,
        cache_salt=plan.cache_salt and f"{plan.cache_salt}-warm-up-",
        conversations=None, think_time=None, leaving=None, barge_in=None,
        session_salt=plan.session_salt and f"{plan.session_salt}-warm-up",
    )  # fmt: skip
    if not warming.planned:  # of few requests, none may be this shard's
        return None
    coordinator, ended = Coordinator(warming, crew), {"requests": warming.planned, "succeeded": 0, "failed": 0}

    def finished(batch: Sequence[FinishedCall], _: Machine | None) -> None:
        for call in batch:
            ended["succeeded" if call.record.ok else "failed"] += 1

    with closing(coordinator):
        coordinator.start()
        coordinator.run(finished, lambda: None, interrupts.asked, interrupts.hurried)
    return ended
