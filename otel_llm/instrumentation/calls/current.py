"""Which call is under way here, and which one ended last: context-local, so of this thread and this task.

The call under way is an entry of OpenTelemetry's own context, beside its span: one attach makes both current, and
whatever carries that context (tasks, `asyncio.to_thread`, gevent, `bind_context`) carries both.
"""

import contextvars
import functools
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol, TypeVar, cast

from opentelemetry import context as otel
from opentelemetry.context import Context

from otel_llm.observation import StreamObservation

if TYPE_CHECKING:
    from otel_llm.generation import GenerationMetrics
    from otel_llm.instrumentation.calls.call import Call, Finished

__all__ = [
    "attach",
    "bind_context",
    "call_in",
    "current",
    "detach",
    "here",
    "in_thread",
    "last_metrics",
    "leave",
    "remember",
    "suppressed",
    "with_call",
]

P = ParamSpec("P")
R = TypeVar("R")

_CALL: Final = otel.create_key("otel_llm.call")
_LAST: "contextvars.ContextVar[Finished | None]" = contextvars.ContextVar("otel_llm.last", default=None)

_RUNTIME: Final[Any] = otel._RUNTIME_CONTEXT
_VARIABLE: Final[Any] = getattr(_RUNTIME, "_current_context", None)


_SUPPRESSED: Final = getattr(otel, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")


class Attach(Protocol):
    def __call__(self, context: Context, /) -> Any: ...


# Attached and detached around every step of every stream: the variable itself where OpenTelemetry keeps one (its own
# default), which is half the price of its two functions, and does not log when a collected coroutine detaches late.
if isinstance(_VARIABLE, contextvars.ContextVar):
    attach: Attach = _VARIABLE.set
    detach: Callable[[Any], object] = _VARIABLE.reset
else:
    attach, detach = _RUNTIME.attach, _RUNTIME.detach


def leave(token: Any) -> None:
    """Detach, also where a coroutine or generator is finalised in another context, to which the token is strange."""
    with suppress(ValueError):
        detach(token)


def call_in(context: Context) -> "Call | None":
    """Return the call that is under way in `context`, None when there is none or it has ended."""
    call = cast("Call | None", context.get(_CALL))
    return call if call is not None and call.open else None


def suppressed() -> bool:
    """Return whether somebody asked that nothing be instrumented here, by either key that OpenTelemetry knows."""
    context = otel.get_current()
    return bool(context and (context.get(_SUPPRESSED) or context.get("suppress_instrumentation")))


def here() -> "Call | None":
    """Return the call that is under way here, None when there is none."""
    return call_in(otel.get_current())


def with_call(call: "Call", context: Context) -> Context:
    """Return `context` with `call` as the one under way."""
    return otel.set_value(_CALL, call, context)


class _Nothing(StreamObservation):
    """What `current()` is where nothing is measured: it takes everything and keeps nothing."""

    __slots__ = ()

    def mark(self, tokens: int = 1, kind: str | int = 1, *, at_ns: int | None = None) -> None:
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
    call = here()
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


def remember(last: "Finished") -> None:
    """Note the call that has just ended here."""
    _LAST.set(last)


def last_metrics() -> "GenerationMetrics | None":
    """Return the metrics of the measured call that ended last in this thread or task. None before the first one."""
    last = _LAST.get()
    return None if last is None else last.metrics


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what `function` returns, run in a thread of this task's context; `last_metrics` comes back from there."""
    import asyncio

    context = contextvars.copy_context()
    bound = functools.partial(context.run, function, *args, **kwargs)
    try:
        return await asyncio.get_running_loop().run_in_executor(None, bound)
    finally:
        _LAST.set(context.get(_LAST))
