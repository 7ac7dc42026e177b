"""The end of this process, and what must not be lost by it: calls under way are told, what is buffered is exported.

An interpreter that exits runs exit handlers. Python's own answer to SIGTERM, which Docker and Kubernetes send, is to
die without, and so does a child of `multiprocessing`. Both are seen to here, for exports that asked for it (`watch`):

- Where nobody handles SIGTERM, what there is is exported, and then the process dies of it as before.
- A handler of the application's own, or of its server, is called as before, after what there is was exported. From
  then on each call is exported when it has ended: a server that lets its requests finish kills itself after the last.
- A handler that is set later replaces ours.

The waits are bounded, and where nobody takes what is exported there is one.
"""

import _thread
import atexit
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Final, Protocol

from otel_llm.process.locks import may_hold_a_lock

__all__ = ["ENDING", "Ending", "Exporting"]

_WAIT_S: Final = 6.0
"""How long a signal handler waits: a little more than those who export wait by themselves."""
_AGAIN_S: Final = 0.01
_TRIES: Final = 600
"""How often a signal is put off, 10 ms each time: as long as the main thread itself may wait for an export."""


class Exporting(Protocol):
    """What exports telemetry, and holds some back to export it together."""

    def hurry(self) -> bool:
        """Export what is recorded by now, within some seconds. Returns False where nobody took it."""
        ...

    def leave(self) -> object:
        """Export what is left, within some seconds, and stop. May be called more than once."""
        ...


class Ending:
    """What is done when this process ends, once it was asked for by `watch`.

    tell:       tells of the calls that are under way
    after_call: is to be called when a call has ended, where every call may be the last; else None
    """

    def __init__(self) -> None:
        self.tell: Callable[[], object] = lambda: None
        self.after_call: Callable[[], object] | None = None
        self._exporting: list[Exporting] = []
        self._before: Any = None
        self._put_off = 0

    def watch(self, exporting: Exporting) -> None:
        """Let `exporting` export what is left at the end of this process, whichever way it ends."""
        if not self._exporting:
            self._watch_children()
        self._exporting.append(exporting)
        atexit.register(exporting.leave)
        self._watch_sigterm()

    def end(self) -> None:
        """Tell of the calls that are under way, and export what is left."""
        self.tell()
        for exporting in self._exporting:
            exporting.leave()

    # -- SIGTERM -----------------------------------------------------------------------------------------------

    def _watch_sigterm(self) -> None:
        handler = signal.getsignal(signal.SIGTERM)
        in_main = threading.current_thread() is threading.main_thread()  # no other may set a handler
        if in_main and handler != self._terminated and (handler is signal.SIG_DFL or callable(handler)):
            self._before = handler
            signal.signal(signal.SIGTERM, self._terminated)

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGTERM. Runs between any two steps of the main thread, which may hold a lock that exporting needs."""
        if may_hold_a_lock(frame) and self._put_off < _TRIES:
            self._put_off += 1
            _thread.start_new_thread(_send_again, (number,))
            return
        self._put_off = 0
        if callable(self._before):
            self.after_call = self._hurry
            _wait_for(self._hurry)
            self._before(number, frame)
        else:
            _wait_for(self.end)
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def _hurry(self) -> None:
        for exporting in self._exporting:
            if not exporting.hurry():
                self.after_call = None  # nobody takes it: once is enough to wait for that

    # -- children ----------------------------------------------------------------------------------------------

    def _watch_children(self) -> None:
        """Let children of `multiprocessing` end as well, which run their own finalizers and no exit handlers."""
        from multiprocessing import util

        util.Finalize(None, self.end, exitpriority=0)  # of this process, where it is a child
        util.register_after_fork(self, _finalize)


def _finalize(ending: Ending) -> None:
    """Called in a child, when it has forgotten the finalizers of its parent."""
    from multiprocessing import util

    ending.after_call = None
    util.Finalize(None, ending.end, exitpriority=0)


def _send_again(number: int) -> None:
    threading.Event().wait(_AGAIN_S)
    os.kill(os.getpid(), number)


def _wait_for(step: Callable[[], object]) -> None:
    """Run a step in another thread, for the locks that the main thread holds, and wait for it."""
    thread = threading.Thread(target=step, name="otel_llm-ending", daemon=True)
    with suppress(RuntimeError):  # the interpreter exits already, and starts no thread: it tells of all itself
        thread.start()
        thread.join(_WAIT_S)


ENDING: Final = Ending()
"""Of this process."""
