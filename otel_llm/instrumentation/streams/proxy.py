"""What every proxy is: the wrapped object's own attributes, and the call that ends when nobody holds it any more."""

import io
import sys
from collections.abc import Callable
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Final, Protocol

from opentelemetry.context import Context

from otel_llm.instrumentation.calls.attaching import attach, leave
from otel_llm.instrumentation.calls.in_flight import OpenCall, abandon_soon

__all__ = ["Bound", "Looks", "Proxy", "StandInCall", "StreamItems", "get_from", "is_stream", "put", "run_step"]

put: Final = object.__setattr__
"""How a proxy is given attributes of its own; any other assignment goes to the wrapped object."""

Bound = tuple[
    Context | None,
    Callable[[], Any],
    Callable[[int], None],
    Callable[[], int],
    type,
    Callable[[Any], None],
]
"""What a step needs, see `iteration`."""


class StreamItems(Protocol):
    """Where the items of a stream are noted: see `otel_llm.instrumentation.calls.stream_items`."""

    at_ns: list[int]
    plain: bool
    take: Callable[[Any], None]


class StreamHooks(Protocol):
    """The hooks of an adapter that are about the steps of a stream."""

    @property
    def leaf(self) -> bool: ...
    @property
    def inner(self) -> Callable[[Any], Any] | None: ...


class StandInCall(OpenCall, Protocol):
    """What a proxy asks of the call that goes on in it."""

    open: bool
    streamed: bool
    context: Context
    now_ns: Callable[[], int]

    @property
    def hooks(self) -> StreamHooks: ...

    def begin(self) -> None: ...
    def stream_items(self) -> StreamItems: ...
    def note(self, item: Any) -> Any: ...
    def stand_in(self, result: Any, *, owner: bool = True) -> Any: ...
    def settle(self, result: Any) -> Any: ...
    def returned(self, value: Any) -> None: ...
    def end(self) -> None: ...
    def close_early(self) -> None: ...
    def broke(self, error: BaseException, *, outside: bool = False) -> None: ...


def is_stream(kind: type) -> bool:
    """Return whether instances of `kind` are streams: iterators that are no container and no file."""
    if issubclass(kind, io.IOBase) or hasattr(kind, "__len__") or hasattr(kind, "__getitem__"):
        return False
    return hasattr(kind, "__next__") or hasattr(kind, "__aiter__")


class Proxy:
    """What every proxy is: a wrapped object, and the call that ends when nobody holds it any more."""

    __slots__ = (
        "__weakref__",
        "__wrapped__",
        "_self_abound",
        "_self_bound",
        "_self_call",
        "_self_owner",
        "_self_run",
    )

    __wrapped__: Any
    _self_call: StandInCall
    _self_owner: bool
    _self_bound: "Bound | None"
    _self_abound: "Bound | None"
    _self_run: Any

    def __init__(self, wrapped: Any, call: Any, *, owner: bool = True) -> None:
        """call: a `StandInCall`, which adapters know as a `MeasuredCall`"""
        put(self, "__wrapped__", wrapped)
        put(self, "_self_call", call)
        put(self, "_self_owner", owner)
        put(self, "_self_bound", None)
        put(self, "_self_abound", None)
        put(self, "_self_run", None)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__wrapped__, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__wrapped__, name)

    @property
    def __class__(self) -> Any:
        return self.__wrapped__.__class__

    @__class__.setter
    def __class__(self, kind: Any) -> None:
        self.__wrapped__.__class__ = kind

    def __dir__(self) -> list[str]:
        return dir(self.__wrapped__)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __eq__(self, other: object) -> bool:
        return bool(self.__wrapped__ == (other.__wrapped__ if type(other) is type(self) else other))

    def __hash__(self) -> int:
        return hash(self.__wrapped__)

    def __del__(self, finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        try:
            if self._self_owner and self._self_call.open and not finalizing():
                abandon_soon(self._self_call)
        except AttributeError:  # its own making failed
            pass

    def _begin(self) -> StandInCall:
        """Return the call, begun: for a generator function, whose execution starts with its first step."""
        call = self._self_call
        call.begin()
        return call

    def _do(self, function: Callable[..., Any], *args: Any) -> Any:
        """Return what a method of the wrapped object returns; what it raises ends the call."""
        call = self._begin()
        token = attach(call.context)
        try:
            return function(*args)
        except BaseException as error:
            call.broke(error)
            raise
        finally:
            leave(token)


async def run_step(proxy: Proxy, function: Callable[..., Any], *args: Any) -> Any:
    call = proxy._begin()
    token = attach(call.context)
    try:
        return await function(*args)
    except BaseException as error:
        call.broke(error)
        raise
    finally:
        leave(token)


def get_from(proxy: Proxy, name: str) -> Any:
    """Return an attribute of the wrapped object."""
    value = getattr(proxy.__wrapped__, name)
    if name in _CLOSES and callable(value):
        return _closing(proxy._self_call, value)
    if name == "response" and (hasattr(value, "close") or hasattr(value, "aclose")):
        return type(type(value).__name__, (Looks,), {"__slots__": ()})(value, proxy._self_call, owner=False)
    if isinstance(value, GeneratorType | AsyncGeneratorType) and not name.startswith("_"):
        return proxy._self_call.stand_in(value, owner=False)  # another view of the same stream, such as its text
    return value


class Looks(Proxy):
    """Attributes of an object that may have any. A class with this hook has slower slots, so generators go without."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return get_from(self, name)


_CLOSES: Final = frozenset(("close", "aclose"))


def _closing(call: StandInCall, close: Callable[..., Any]) -> Callable[..., Any]:
    """Return the stream's own `close`, after which the call has ended."""

    def closing(*args: Any, **kwargs: Any) -> Any:
        result = close(*args, **kwargs)
        if hasattr(result, "__await__"):
            return closed(result)
        call.close_early()
        return result

    async def closed(result: Any) -> Any:
        try:
            return await result
        finally:
            call.close_early()

    return closing
