"""The coordinator: starts the workers, takes their messages, and accounts for every planned request.

It runs in the process that a person started. Writing files, exporting telemetry and drawing happen there too, so that
none of it delays a stamp.
"""

import multiprocessing
import selectors
import socket
import struct
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from typing import IO

from otel_llm.clock import now_ns
from otel_llm.load.asked import LazyRequests
from otel_llm.load.coordinator.descriptors import raise_descriptor_limit
from otel_llm.load.coordinator.interrupts import Interrupts
from otel_llm.load.coordinator.reckoning import FinishedCall, Reckoning
from otel_llm.load.figures.counting import Counting
from otel_llm.load.figures.health import Health
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.worker.channel import DRAIN, GO, STOP, Batch, Inbox, LastWord, Message, Ready
from otel_llm.load.worker.stock import Share, deal
from otel_llm.load.worker.worker import work

__all__ = ["Coordinator", "warm_up"]

_LEAD_NS = 10_000_000
_POLL_S = 0.1
_PATIENCE_NS = 3_000_000_000
_HURRIED_NS = 500_000_000
_GOING_NS = 2_000_000_000


@dataclass(slots=True)
class _Worker:
    number: int
    process: BaseProcess
    socket: socket.socket
    file: IO[bytes] | None
    inbox: Inbox
    sent: int = 0
    in_flight: int = 0
    heard_ns: int = 0
    ended: bool = False


class Coordinator:
    """Runs a plan in worker processes. Call `start`, then `run` once, and always `close`."""

    def __init__(self, plan: LoadPlan, counting: Counting | None = None) -> None:
        """Raises ConfigError for a closed loop of more connections than a process may open.

        counting: counts tokens where the server does not; None leaves them unknown
        """
        self.plan = plan
        self._reckoning = Reckoning(plan, counting)
        self._shares = deal(plan)
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
        """Start the processes. They are forked where that is safe, so call this before any thread is started."""
        forks = sys.platform == "linux"
        context = multiprocessing.get_context("fork") if forks else multiprocessing.get_context("spawn")
        ours: list[socket.socket] = []
        for share in self._shares:
            near, far = socket.socketpair()
            ours.append(near)
            file = _overflow() if forks else None
            shared = None if file is None else file.fileno()
            arguments = (self.plan, share, far, shared, ours if forks else [])
            process = context.Process(target=_in_child, args=arguments, daemon=True)
            process.start()
            far.close()
            worker = _Worker(share.worker, process, near, file, Inbox(shared))
            self._workers.append(worker)
            self._selector.register(near, selectors.EVENT_READ, worker)

    def run(
        self,
        on_finished: Callable[[Sequence[FinishedCall]], object],
        on_turn: Callable[[], object],
        stopping: Callable[[], bool],
        hurried: Callable[[], bool] = lambda: False,
    ) -> Health:
        """Return when every worker has ended.

        `on_finished` gets the requests that ended since its last call, `on_turn` is called about ten times a second,
        and the workers are told to stop as soon as `stopping` says so. One that is silent for 3 s after that is killed,
        for half a second when `hurried`.
        """
        ready, told_ns = 0, None
        while any(not worker.ended for worker in self._workers):
            if told_ns is None and stopping():
                told_ns = self._stop()
            for worker, message in self._messages():
                if isinstance(message, Ready):
                    ready += 1
                    self.health.unreachable = self.health.unreachable or message.error
                    if ready == len(self._workers) and told_ns is None:
                        told_ns = self._begin()
                elif isinstance(message, Batch):
                    worker.sent, worker.in_flight = message.sent, message.in_flight
                    self.health.loop_lag_ns += message.loop_lag_ns
                    if message.ended:
                        on_finished(self._reckoning.reckon(message.ended))
                else:
                    self._ended(worker, message)
            if told_ns is not None:
                self._give_up(now_ns() - (_HURRIED_NS if hurried() else _PATIENCE_NS), told_ns)
            on_turn()
        if told_ns is None:
            stopping()  # what ended them may have come with their last message
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
            worker.socket.close()
            if worker.file is not None:
                worker.file.close()
        until = now_ns() + _GOING_NS
        for worker in self._workers:
            worker.process.join(timeout=max(until - now_ns(), 0) / 1e9)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._selector.close()

    def _begin(self) -> int | None:
        """Start the workers, or stop them when nobody could connect; return when they were told to stop."""
        if self.health.unreachable is not None:
            return self._stop()
        self.start_ns = now_ns() + _LEAD_NS
        self._say(GO + struct.pack("!q", self.start_ns))
        return None

    def _stop(self) -> int:
        self._say(STOP)
        return now_ns()

    def _give_up(self, silent_since_ns: int, told_ns: int) -> None:
        """Kill workers that were told to stop and have not been heard since."""
        for worker in self._workers:
            if not worker.ended and max(worker.heard_ns, told_ns) < silent_since_ns:
                worker.process.kill()
                self._gone(worker, "did not stop and was killed")

    def _say(self, word: bytes) -> None:
        for worker in self._workers:
            if not worker.ended:
                try:
                    worker.socket.sendall(word)
                except OSError:
                    continue  # it is going away; its end of file says so

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

    def _ended(self, worker: _Worker, message: LastWord) -> None:
        worker.ended, worker.in_flight = True, 0
        self._selector.unregister(worker.socket)
        self.health.cpu_s += message.cpu_ns / 1e9
        self.health.waited_s += message.waited_ns / 1e9
        self.health.clocks.add(message.clock)
        self.health.clock_steps += message.clock_steps

    def _gone(self, worker: _Worker, how: str = "died") -> None:
        worker.ended, worker.in_flight = True, 0
        self._selector.unregister(worker.socket)
        worker.process.join(timeout=2)
        self.health.died.append(f"worker {worker.number} {how} (exit code {worker.process.exitcode})")


def _overflow() -> IO[bytes] | None:
    """Return a file for messages that cannot be taken yet; None where there is no place for one: memory has to do."""
    try:
        return tempfile.TemporaryFile(prefix="otel-llm-", buffering=0)
    except OSError:
        return None


def warm_up(plan: LoadPlan, interrupts: Interrupts) -> dict[str, int] | None:
    """Send the plan's warm-up, as many requests at a time as the run will have in flight; return how they ended.

    It is a closed loop without a ramp, on its own connections. With `--cache-bust` its prompts differ from the run's.
    Of conversations only the first turns are sent.
    """
    if not plan.warmup:
        return None
    parallel = (plan.max_concurrency or 1) if plan.open_loop else plan.parallel
    requests = plan.requests
    coordinator = Coordinator(
        replace(
            plan, requests=requests.apart("warm-up") if isinstance(requests, LazyRequests) else requests,
            number=plan.warmup, rate=None, moments=None, levels=None, ramp_s=None, duration_s=None,
            parallel=min(parallel, plan.warmup), keep_events=False, warmup=0,
            cache_salt=plan.cache_salt and f"{plan.cache_salt}-warm-up-",
            conversations=None, think_time=None, leaving=None,
            session_salt=plan.session_salt and f"{plan.session_salt}-warm-up",
        )
    )  # fmt: skip
    ended = {"requests": plan.warmup, "succeeded": 0, "failed": 0}

    def finished(batch: Sequence[FinishedCall]) -> None:
        for call in batch:
            ended["succeeded" if call.record.ok else "failed"] += 1

    with closing(coordinator):
        coordinator.start()
        coordinator.run(finished, lambda: None, interrupts.asked, interrupts.hurried)
    return ended


def _in_child(
    plan: LoadPlan, share: Share, sock: socket.socket, file: int | None, inherited: list[socket.socket]
) -> None:
    # a copy of the coordinator's ends would keep them open, and a worker would not notice that its coordinator is gone
    for other in inherited:
        other.close()
    work(plan, share, sock, file)
