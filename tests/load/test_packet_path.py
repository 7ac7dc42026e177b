"""The path of a packet: which modules have a part in it, in which order, from the socket to the printed report.

A run of the command in this process, its worker in a thread. Sixteen packets or so into an answer one is followed:
every module of ours that has a frame while that packet is read, looked at, sent to the coordinator, made a record of,
counted, written down and printed is on the path. What the loops do besides (ticks, signals, drawing) is not.
"""

import argparse
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from otel_llm.load.commands import perf
from otel_llm.load.coordinator import local
from otel_llm.load.worker import worker
from otel_llm.testing import ScriptedServer
from tests.traced import modules_on_the_page

FOLLOWED = 12
"""Number of the read that is followed; the first one is the head of the answer."""

MOMENTS = (
    "Connection._readable",
    "Connection.settle",
    "Outbox.send",
    "Inbox.feed",
    "Reckoning.reckon",
    "Run.go.<locals>.finished",
    "Run._report",
    "print_report",
)
"""The calls that handle the packet, one after the other; each is followed until it returns."""


class Follower:
    """A profile function: notes the modules of ours that have frames in MOMENTS, by who called them first."""

    def __init__(self) -> None:
        self.path: list[str] = []
        self.read, self.looked_at = threading.Semaphore(0), threading.Event()
        self._reads, self._moments = 0, list(MOMENTS)
        self._inside: tuple[int, FrameType] | None = None

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        name = frame.f_code.co_qualname
        if event == "return":
            if self._inside is not None and self._inside[1] is frame:
                self._inside = None
                if name == "Connection.settle":
                    self.looked_at.set()
            if name == "Connection._readable":
                self.read.release()
        elif event == "call":
            self._reads += name == "Connection._readable"
            if self._inside is None and self._moments and name == self._moments[0] and self._is_it(frame):
                self._inside = threading.get_ident(), frame
                del self._moments[0]
                self._note(frame.f_back)
            if self._inside is not None and self._inside[0] == threading.get_ident():
                self._note(frame)

    def _is_it(self, frame: FrameType) -> bool:
        """Return whether this call handles the packet that is followed, and not one before it."""
        message = frame.f_locals.get("message")
        return self._reads >= FOLLOWED and bool(message is None or getattr(message, "ended", ()))

    def _note(self, frame: FrameType | None) -> None:
        module = frame.f_globals.get("__name__", "") if frame is not None else ""
        if module.startswith("otel_llm") and module not in self.path:
            self.path.append(module)


class WorkerThread:
    """What the coordinator takes for a process."""

    exitcode = 0

    def __init__(self, target: Callable[..., None], args: tuple[Any, ...], daemon: bool) -> None:
        plan, share, sock, file, _ = args
        mine: socket.socket = sock.dup()  # the coordinator closes its own copy, as it does beside a process
        self._thread = threading.Thread(target=target, args=(plan, share, mine, file, []), daemon=daemon)
        self.start, self.join, self.is_alive = self._thread.start, self._thread.join, self._thread.is_alive


class Answer(list[bytes]):
    """A script that goes on when the packet before was read, so that each is a read of its own.

    Before its end it waits until the packet that is followed was looked at: what the end of an answer brings along with
    it is not the path of its middle.
    """

    def __init__(self, follower: Follower) -> None:
        events = [b'{"choices":[{"index":0,"delta":{"content":" word"}}],"model":"m-1","id":"c"}'] * 40
        events += [b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"model":"m-1","id":"c"}', b"[DONE]"]
        frames = [b"data: %b\n\n" % event for event in events]
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        super().__init__([head, *(b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames), b"0\r\n\r\n"])
        self._follower = follower

    def __iter__(self) -> Iterator[bytes]:
        for number, packet in enumerate(super().__iter__(), 1):
            yield packet
            self._follower.read.acquire(timeout=30)
            if number == 2 * FOLLOWED:
                self._follower.looked_at.wait(timeout=30)


@pytest.fixture
def in_one_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    context = SimpleNamespace(Process=WorkerThread)
    monkeypatch.setattr(local, "multiprocessing", SimpleNamespace(get_context=lambda _: context))
    monkeypatch.setattr(worker, "signal", SimpleNamespace(signal=lambda *_: None, SIGINT=2, SIGTERM=15, SIG_IGN=1))
    nothing = dict.fromkeys(("collect", "freeze", "disable"), lambda: None)
    monkeypatch.setattr(worker, "gc", SimpleNamespace(**nothing))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("in_one_process")
def test_the_path_of_a_packet_from_the_socket_to_the_printed_report(capsys: pytest.CaptureFixture[str]) -> None:
    follower = Follower()
    parser = argparse.ArgumentParser()
    perf.add_arguments(parser)
    with ScriptedServer(Answer(follower)) as server:
        url = f"{server.url}/v1/chat/completions"
        args = parser.parse_args(["--url", url, "--model", "m", "--prompt", "hi", "--name", "run.db"])
        threading.setprofile(follower)
        sys.setprofile(follower)
        try:
            code = perf.run(args)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]  # typeshed: None is what it was
    assert code == 0
    assert " answered 1 of 1 requests." in capsys.readouterr().out
    assert follower.path == modules_on_the_page("A packet")
    assert len(follower.path) <= 30
