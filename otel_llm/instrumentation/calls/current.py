"""Which call is under way here, and which one ended last: context-local, so of this thread and this task.

The call under way is an entry of OpenTelemetry's own context, beside its span: one attach makes both current, and
whatever carries that context (tasks, `asyncio.to_thread`, gevent, `bind_context`) carries both.
"""

import contextvars
import functools
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

from opentelemetry import context as otel

from otel_llm.generation import LAST, GenerationMetrics
from otel_llm.instrumentation.calls.attaching import attach, detach
from otel_llm.instrumentation.calls.call import call_in
from otel_llm.observation import StreamObservation

__all__ = ["bind_context", "current", "in_thread", "last_metrics"]

P = ParamSpec("P")
R = TypeVar("R")


class _Nothing(StreamObservation):
    """What `current()` is where nothing is measured: it takes everything and keeps nothing."""

    __slots__ = ()

    def mark(self, tokens: int = 1, kind: str | int = 1, *, at_ns: int | None = None) -> None:
        """Do nothing."""

    def restart(self) -> None:
        """Do nothing."""

    def set(self, **fields: Any) -> None:
        """Do nothing."""

    def usage(self, **counts: Any) -> None:
        """Do nothing."""

    def counted(self, output: int) -> None:
        """Do nothing."""

    def _finish(self, *how: Any) -> None:
        """Do nothing."""


_NOTHING: Final = _Nothing()


def current() -> StreamObservation:
    """Return the observation of the innermost call under way here.

    A function that knows its tokens reports them: `otel_llm.current().mark(tokens=1, kind="text")`. Where no call is
    measured (or telemetry failed to open one) it is an observation that ignores what it is told, never None.
    """
    call = call_in(otel.get_current())
    observation = None if call is None else call.observation
    return _NOTHING if observation is None else observation


def bind_context(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` bound to the context of now, for a thread that generates on behalf of the call under way.

    `threading.Thread(target=otel_llm.bind_context(model.generate), kwargs=...)`: what runs there has this call's span
    as its parent and this call as `current()`. It may be called any number of times, at the same time too.
    """
    context = otel.get_current()

    def bound(*args: P.args, **kwargs: P.kwargs) -> R:
        token = attach(context)
        try:
            return function(*args, **kwargs)
        finally:
            detach(token)

    return bound


def last_metrics() -> GenerationMetrics | None:
    """Return the metrics of the measured call that ended last in this thread or task. None before the first one."""
    last = LAST.get()
    return None if last is None else last.metrics


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what `function` returns, run in a thread of this task's context; `last_metrics` comes back from there."""
    import asyncio

    context = contextvars.copy_context()
    bound = functools.partial(context.run, function, *args, **kwargs)
    try:
        return await asyncio.get_running_loop().run_in_executor(None, bound)
    finally:
        LAST.set(context.get(LAST))
