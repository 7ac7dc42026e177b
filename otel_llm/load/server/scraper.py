"""Looks at a server's metrics before, after and every second of a run, in a process of its own."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Final

import msgspec

from otel_llm.clock import cpu_ns, now_ns
from otel_llm.load.server.scrape import Look, Scrape
from otel_llm.load.server.source import Source
from otel_llm.load.worker.channel import INTERRUPTS

__all__ = ["Scraper"]

_EVERY_NS: Final = 1_000_000_000
_FIRST_S: Final = 6.0
_LAST_S: Final = 8.0
_SETTLE_NS: Final = 2_000_000_000
_AGAIN_S: Final = 0.1
_NICE: Final = 5
_STOP: Final = b"stop"
_BUSY: Final = ("server_requests_running", "server_requests_waiting", "server_requests_in_flight")


class Scraper:
    """Gathers scrapes while a run goes on. Call `start` before any thread is started, `stop` once, always `close`.

    scrapes: all that came so far, in their order
    cpu_s:   what the process took, once it has stopped
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.scrapes: list[Scrape] = []
        self.cpu_s = 0.0
        self._given = 0
        forks = sys.platform == "linux"
        context = multiprocessing.get_context("fork") if forks else multiprocessing.get_context("spawn")
        self._near, far = context.Pipe()
        self._far = far
        self._process = context.Process(target=_scrape, args=(sources, far), daemon=True)

    def start(self) -> None:
        """Start the process, and wait until it has looked once: what it saw then was before the run."""
        self._process.start()
        self._far.close()
        self._take(_FIRST_S)

    def gather(self) -> list[Scrape]:
        """Return what came and was not returned yet."""
        self._take(0)
        return self._new()

    def stop(self, patience_s: float = _LAST_S) -> list[Scrape]:
        """Have it look once more, and return what was not returned yet; without it where there is no answer in time."""
        with suppress(OSError):
            self._near.send_bytes(_STOP)
            while self._take(patience_s):
                continue
        return self._new()

    def close(self) -> None:
        """Leave no process behind."""
        self._near.close()
        if self._process.pid is not None:
            self._process.join(timeout=1)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()

    def _new(self) -> list[Scrape]:
        found, self._given = self.scrapes[self._given :], len(self.scrapes)
        return found

    def _take(self, patience_s: float) -> bool:
        """Take what is there, waiting for the first of it; return whether more may come."""
        try:
            while self._near.poll(patience_s):
                message = _decode(self._near.recv_bytes())
                self.scrapes += message.scrapes
                self.cpu_s = message.cpu_ns / 1e9
                if patience_s:
                    return True
        except (EOFError, OSError):
            pass
        return False


class _Message(msgspec.Struct, array_like=True):
    scrapes: list[Scrape]
    cpu_ns: int


_decode = msgspec.msgpack.Decoder(_Message).decode


def _scrape(sources: Sequence[Source], connection: Connection) -> None:
    """Look until told to stop, or until nobody listens any more."""
    for number in INTERRUPTS:  # whoever interrupts the run tells it to stop
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError, AttributeError):
        os.nice(_NICE)  # who measures comes first
    looks = [Look(source) for source in sources]
    with ThreadPoolExecutor(len(looks)) as pool, suppress(OSError, EOFError):
        tick, start = 0, now_ns()
        while True:
            _tell(connection, pool, looks, tick, whole=tick == 0)
            tick += 1
            wait = max(start + tick * _EVERY_NS - now_ns(), 0)
            if connection.poll(wait / 1e9):
                connection.recv_bytes()
                break
            tick = max(tick, (now_ns() - start) // _EVERY_NS)  # a look that took long costs those after it
        _last(connection, pool, looks, tick)
    connection.close()


def _tell(
    connection: Connection, pool: ThreadPoolExecutor, looks: Sequence[Look], tick: int, *, whole: bool
) -> list[Scrape]:
    found = list(pool.map(lambda look: look(tick, whole=whole), looks))
    connection.send_bytes(msgspec.msgpack.encode(_Message(found, cpu_ns())))
    return found


def _last(connection: Connection, pool: ThreadPoolExecutor, looks: Sequence[Look], tick: int) -> None:
    """Look once more: engines count a request a moment after its last byte has left."""
    until = now_ns() + _SETTLE_NS
    while _busy(_tell(connection, pool, looks, tick, whole=True)) and now_ns() < until:
        tick += 1
        connection.poll(_AGAIN_S)


def _busy(scrapes: Sequence[Scrape]) -> bool:
    readings = (scrape.reading for scrape in scrapes if scrape.reading is not None)
    return any(reading.gauges.get(name, 0) > 0 for reading in readings for name in _BUSY)
