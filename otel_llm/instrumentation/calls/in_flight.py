"""Calls that have begun and not ended: what a fork must forget and a process that ends must still tell."""

import _thread
import atexit
import os
import sys
from collections import deque
from typing import Final, Protocol

from otel_llm.process.locks import may_hold_a_lock

__all__ = ["OPEN", "OpenCall", "abandon_soon", "tell_at_exit_before", "tell_unfinished", "told_before"]


class OpenCall(Protocol):
    """A call under way, as far as its end is nobody's."""

    def abandon(self) -> None:
        """End it: nobody holds it any more."""
        ...

    def forget(self) -> None:
        """Let it never be told, and count it no more as under way: it is another process's. Takes no lock."""
        ...


OPEN: "Final[set[OpenCall]]" = set()
"""The calls under way in this process. A call puts itself here when it begins, and takes itself out when it ends."""
told_before: object = None
"""The provider before whose shutdown the calls are told that are unfinished when the interpreter exits."""
_LATER: "Final[deque[OpenCall]]" = deque()


def tell_at_exit_before(provider: object) -> None:
    """Have the calls that are unfinished when the interpreter exits told before a provider shuts down.

    Exit handlers run last in, first out. A provider registers its shutdown when it is made, and the calls have to be
    told before that: so this is called again whenever there is another provider.
    """
    global told_before
    told_before = provider
    atexit.unregister(tell_unfinished)
    atexit.register(tell_unfinished)


def abandon_soon(call: OpenCall) -> None:
    """End a call that nobody holds any more: at once, and in a thread where that could block for ever.

    The cyclic collector runs wherever something is allocated, so also inside an SDK that holds one of its locks; to
    record anything from there would wait for that lock in the thread that holds it.
    """
    if not may_hold_a_lock(sys._getframe(1)):
        call.abandon()
        return
    _LATER.append(call)
    _thread.start_new_thread(_drain, ())


def _drain() -> None:
    while _LATER:
        try:
            call = _LATER.popleft()
        except IndexError:
            return
        call.abandon()


def tell_unfinished() -> None:
    """Tell of the calls that are unfinished when the process ends."""
    _drain()
    for call in tuple(OPEN):
        call.abandon()


def _forget() -> None:
    """In a forked child: the calls under way are the parent's to tell, and this process has none.

    The parent may have held any lock as it forked, for which one would wait here for ever.
    """
    for call in tuple(OPEN):
        call.forget()
    OPEN.clear()
    _LATER.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
