"""Streams, managers and awaitables as the caller gets them: the very object, stamped as it goes by.

A proxy is of a class made for the type it stands for: it iterates, enters, awaits or sends just if that type does, and
everything else is the wrapped object's own. A class, not a generator: when the consumer breaks off and lets go of it,
`__del__` ends the call at once and in the same task, where a generator's `finally` would run some time later.

The call's context is attached around each step alone, so user code inside a generator has the span as its parent and
the consumer's body between two steps has not. The streams of a client library run no such code and go without.
"""

from collections.abc import Callable
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Final
from weakref import WeakKeyDictionary

from otel_llm.instrumentation.streams.entering import Awaits, Enters, EntersAsync, Runs
from otel_llm.instrumentation.streams.iteration import Iterates, IteratesAsync, Sends, SendsAsync
from otel_llm.instrumentation.streams.proxy import Looks, Proxy, get_from, is_stream

__all__ = ["STAND_INS", "StandIns"]

_FORWARDED: Final = (
    "__call__",
    "__bool__",
    "__contains__",
    "__length_hint__",
    "__str__",
    "__format__",
    "__reduce_ex__",
)


class StandIns(WeakKeyDictionary[type, type[Proxy] | None]):
    """The classes of proxies by the type they stand for; None for types whose instances are values.

    One is made when a call first returns an object of its type, and goes away with that.
    """

    def make(self, kind: type) -> type[Proxy] | None:
        """Make the class of proxies for instances of `kind`, and return it."""
        made = self[kind] = _make(kind)
        return made


def _make(kind: type) -> type[Proxy] | None:
    stream = is_stream(kind)
    manager = (hasattr(kind, "__enter__") or hasattr(kind, "__aenter__")) and not _is_value(kind)
    awaits = hasattr(kind, "__await__") and not hasattr(kind, "add_done_callback")
    if not (stream or manager or awaits):
        return None
    parts: list[type[Proxy]] = []
    if issubclass(kind, CoroutineType) or (awaits and hasattr(kind, "send") and hasattr(kind, "close")):
        parts.append(Runs)
    elif awaits:
        parts.append(Awaits)
    if issubclass(kind, GeneratorType):
        parts.append(Sends)
    if issubclass(kind, AsyncGeneratorType):
        parts.append(SendsAsync)
    parts += [part for name, part in _PARTS if hasattr(kind, name) and (stream or "iter" not in name)]
    closed = not kind.__dictoffset__ and not hasattr(kind, "__getattr__")  # all it has is on its type
    parts.append(Proxy if closed else Looks)
    members: dict[str, Any] = {name: _forward(name) for name in _FORWARDED if _has_own(kind, name)}
    if closed:
        members |= {name: _property(name) for name in dir(kind) if not any(hasattr(part, name) for part in parts)}
    return type(kind.__name__, tuple(parts), {"__slots__": (), **members})


_PARTS: Final[tuple[tuple[str, type[Proxy]], ...]] = (
    ("__next__", Iterates),
    ("__aiter__", IteratesAsync),
    ("__enter__", Enters),
    ("__aenter__", EntersAsync),
)


def _is_value(kind: type) -> bool:
    """Return whether something that can be entered is none the less a value: a response, a file, a lock, a mock."""
    return any(hasattr(kind, name) for name in ("read", "close", "aclose", "release", "__len__", "__getitem__"))


def _has_own(kind: type, name: str) -> bool:
    return getattr(kind, name, None) is not getattr(object, name, None)


def _property(name: str) -> property:
    return property(lambda self: get_from(self, name))


def _forward(name: str) -> Callable[..., Any]:
    def forward(self: Proxy, *args: Any) -> Any:
        return getattr(self.__wrapped__, name)(*args)

    forward.__name__ = name
    return forward


STAND_INS: Final = StandIns()
"""Of this process."""
