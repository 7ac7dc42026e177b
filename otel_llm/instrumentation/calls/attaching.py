"""The current context of OpenTelemetry: which it is, making another one current, and undoing that."""

import contextvars
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from opentelemetry import context as otel
from opentelemetry.context import Context

__all__ = ["attach", "current_context", "detach", "leave"]

_RUNTIME: Final[Any] = otel._RUNTIME_CONTEXT
_VARIABLE: Final[Any] = getattr(_RUNTIME, "_current_context", None)


class Attach(Protocol):
    def __call__(self, context: Context, /) -> Any: ...


# Attached and detached around every step of every stream: the variable itself where OpenTelemetry keeps one (its own
# default), which is half the price of its two functions, and does not log when a collected coroutine detaches late.
if isinstance(_VARIABLE, contextvars.ContextVar):
    current_context: Callable[[], Context] = _VARIABLE.get
    attach: Attach = _VARIABLE.set
    detach: Callable[[Any], object] = _VARIABLE.reset
else:
    current_context = otel.get_current
    attach, detach = _RUNTIME.attach, _RUNTIME.detach


def leave(token: Any) -> None:
    """Detach, also where a coroutine or generator is finalised in another context, to which the token is strange."""
    with suppress(ValueError):
        detach(token)
