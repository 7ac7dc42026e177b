"""An event loop in a thread of its own, for models that speak over the network and are called from anywhere.

One for the process, made when it is first needed, and made anew after a fork.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final, TypeVar

__all__ = ["close_soon", "submit"]

T = TypeVar("T")

_NAME: Final = "otel_llm.models"
_made: dict[int, asyncio.AbstractEventLoop] = {}
_making = threading.Lock()


def submit(coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
    """Run a coroutine on the loop in the background; its result, and its cancellation, are the future's."""
    return asyncio.run_coroutine_threadsafe(coroutine, _loop())


def close_soon(close: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run what closes something on the loop in the background, and wait for it a second at most."""
    closed = submit(close())
    if threading.current_thread().name != _NAME:  # the collector may be what calls, from any thread
        with suppress(TimeoutError):
            closed.result(1)


def _loop() -> asyncio.AbstractEventLoop:
    with _making:
        loop = _made.get(os.getpid())
        if loop is None:
            _made.clear()
            _made[os.getpid()] = loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name=_NAME, daemon=True).start()
    return loop


def _forget() -> None:
    """In a forked child: the loop's thread is the parent's, and so is a lock that was held at that moment."""
    global _making
    _made.clear()
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
