"""Calls that have begun and not ended: what a fork must forget and an exiting interpreter must still tell."""

import _thread
import atexit
import os
import sys
from collections import deque
from types import FrameType
from typing import TYPE_CHECKING, Final

from opentelemetry import trace

if TYPE_CHECKING:
    from otel_llm.instrumentation.calls.call import Call

__all__ = ["abandoned", "add", "count", "discard"]

_OPEN: "Final[set[Call]]" = set()
_LATER: "Final[deque[Call]]" = deque()
_LOCKING: Final = ("opentelemetry.sdk", "opentelemetry.exporter", "otel_llm.sinks")
_provider: object = None


def add(call: "Call") -> None:
    """Note that `call` has begun."""
    global _provider
    _OPEN.add(call)
    if (provider := trace.get_tracer_provider()) is not _provider:
        # Exit handlers run last in, first out. A provider registers its shutdown when it is made, and ours has to
        # come before: so it is registered anew whenever there is another provider.
        _provider = provider
        atexit.unregister(_flush)
        atexit.register(_flush)


def discard(call: "Call") -> None:
    """Note that `call` has ended."""
    _OPEN.discard(call)


def count() -> int:
    """Return how many calls are under way in this process."""
    return len(_OPEN)


def abandoned(call: "Call") -> None:
    """End a call that nobody holds any more: at once, and in a thread where that could block for ever.

    The cyclic collector runs wherever something is allocated, so also inside an SDK that holds one of its locks; to
    record anything from there would wait for that lock in the thread that holds it.
    """
    if not _inside_a_lock():
        call.abandon()
        return
    _LATER.append(call)
    _thread.start_new_thread(_drain, ())


def _inside_a_lock() -> bool:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(_LOCKING):
            return True
        frame = frame.f_back
    return False


def _drain() -> None:
    while _LATER:
        try:
            call = _LATER.popleft()
        except IndexError:
            return
        call.abandon()


def _flush() -> None:
    """Tell of the calls that are unfinished when the interpreter exits."""
    _drain()
    for call in tuple(_OPEN):
        call.abandon()


def _forget() -> None:
    """In a forked child: the calls under way are the parent's to tell."""
    for call in tuple(_OPEN):
        call.forget()
    _OPEN.clear()
    _LATER.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
