"""Streams, managers and awaitables as the caller gets them: the very object, stamped as it goes by.

A proxy is of a class made for the type it stands for: it iterates, enters, awaits or sends just if that type does, and
everything else is the wrapped object's own. A class, not a generator: when the consumer breaks off and lets go of it,
`__del__` ends the call at once and in the same task, where a generator's `finally` would run some time later.

The call's context is attached around each step alone, so user code inside a generator has the span as its parent and
the consumer's body between two steps has not.
"""

import io
import sys
from collections.abc import Callable, Generator
from types import AsyncGeneratorType, CoroutineType, GeneratorType, TracebackType
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from opentelemetry.context import Context

from otel_llm.instrument import in_flight
from otel_llm.instrument.context import attach, detach, leave

if TYPE_CHECKING:
    from otel_llm.instrument.call import Call

__all__ = ["Proxy", "is_stream", "proxied", "stands_for"]

_put: Final = object.__setattr__


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
    _self_call: "Call"
    _self_owner: bool
    _self_bound: "_Bound | None"
    _self_abound: "_Bound | None"
    _self_run: Any

    def __init__(self, wrapped: Any, call: "Call", *, owner: bool = True) -> None:
        _put(self, "__wrapped__", wrapped)
        _put(self, "_self_call", call)
        _put(self, "_self_owner", owner)
        _put(self, "_self_bound", None)
        _put(self, "_self_abound", None)
        _put(self, "_self_run", None)

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
                in_flight.abandoned(self._self_call)
        except AttributeError:  # its own making failed
            pass

    def _begin(self) -> "Call":
        """Return the call, begun: for a generator function, whose execution starts with its first step."""
        call = self._self_call
        if call.observation is None:
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


def _given(proxy: Proxy, name: str) -> Any:
    """Return an attribute of the wrapped object."""
    value = getattr(proxy.__wrapped__, name)
    if name in _CLOSES and callable(value):
        return _closing(proxy._self_call, value)
    if isinstance(value, GeneratorType | AsyncGeneratorType) and not name.startswith("_"):
        return proxied(value, proxy._self_call, owner=False)  # another view of the same stream, such as its text
    return value


class _Looks(Proxy):
    """Attributes of an object that may have any. A class with this hook has slower slots, so generators go without."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return _given(self, name)


class _Unlike:
    """Of this class no item is: each is looked at."""


_Bound = tuple[Context, Any, Callable[[int], None], Callable[[], int], type]


def _bound(call: "Call", iterator: Any) -> _Bound:
    """Return what a step needs, bound once and kept as one value: an attribute of a proxy may cost a call."""
    return call.context, iterator, call.at_ns.append, call.now_ns, str if call.plain else _Unlike


# The two methods below that give an item are the hot path, and alike for that reason: per chunk they attach and detach
# the context, read the clock and append a number. A `suppress` would cost as much as all of that.


class _Iterates(Proxy):
    """`for item in stream`."""

    __slots__ = ()

    def __init__(self, wrapped: Any, call: "Call", *, owner: bool = True) -> None:
        super().__init__(wrapped, call, owner=owner)
        call.streamed = True

    def __iter__(self) -> Any:
        iterator = iter(self.__wrapped__)
        if iterator is not self.__wrapped__:
            _put(self, "_self_bound", _bound(self._begin(), iterator))
        return self

    def __next__(self) -> Any:
        if (bound := self._self_bound) is None:
            _put(self, "_self_bound", bound := _bound(self._begin(), self.__wrapped__))
        context, iterator, stamp, now_ns, plain = bound
        token = attach(context)
        try:
            item = next(iterator)
        except BaseException as error:
            self._self_call.broke(error)
            raise
        finally:
            try:  # noqa: SIM105
                detach(token)
            except ValueError:  # driven in another context meanwhile
                pass
        stamp(now_ns())
        if type(item) is not plain or not item:
            self._self_call.took(item)
        return item


class _IteratesAsync(Proxy):
    """`async for item in stream`."""

    __slots__ = ()

    def __init__(self, wrapped: Any, call: "Call", *, owner: bool = True) -> None:
        super().__init__(wrapped, call, owner=owner)
        call.streamed = True

    def __aiter__(self) -> Any:
        iterator = self.__wrapped__.__aiter__()
        if iterator is not self.__wrapped__:
            _put(self, "_self_abound", _bound(self._begin(), iterator))
        return self

    async def __anext__(self) -> Any:
        if (bound := self._self_abound) is None:
            _put(self, "_self_abound", bound := _bound(self._begin(), self.__wrapped__))
        context, iterator, stamp, now_ns, plain = bound
        token = attach(context)
        try:
            item = await anext(iterator)
        except BaseException as error:
            self._self_call.broke(error)
            raise
        finally:
            try:  # noqa: SIM105
                detach(token)
            except ValueError:  # finalised by the collector, in another context
                pass
        stamp(now_ns())
        if type(item) is not plain or not item:
            self._self_call.took(item)
        return item


class _Sends(Proxy):
    """The rest of a generator."""

    __slots__ = ()

    def send(self, value: Any) -> Any:
        return self._self_call.note(self._do(self.__wrapped__.send, value))

    def throw(self, *error: Any) -> Any:
        return self._self_call.note(self._do(self.__wrapped__.throw, *error))

    def close(self) -> None:
        if self._self_call.open:
            self._do(self.__wrapped__.close)
            self._self_call.close_early()
        else:
            self.__wrapped__.close()


class _SendsAsync(Proxy):
    """The rest of an async generator."""

    __slots__ = ()

    async def asend(self, value: Any) -> Any:
        return self._self_call.note(await _stepped(self, self.__wrapped__.asend, value))

    async def athrow(self, *error: Any) -> Any:
        return self._self_call.note(await _stepped(self, self.__wrapped__.athrow, *error))

    async def aclose(self) -> None:
        if self._self_call.open:
            await _stepped(self, self.__wrapped__.aclose)
            self._self_call.close_early()
        else:
            await self.__wrapped__.aclose()


async def _stepped(proxy: Proxy, function: Callable[..., Any], *args: Any) -> Any:
    call = proxy._begin()
    token = attach(call.context)
    try:
        return await function(*args)
    except BaseException as error:
        call.broke(error)
        raise
    finally:
        leave(token)


class _Enters(Proxy):
    """`with stream:`, or a manager that gives the stream when it is entered."""

    __slots__ = ()

    def __enter__(self) -> Any:
        return _entered(self, self._do(self.__wrapped__.__enter__))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        call = self._self_call
        if error is not None:
            call.broke(error, outside=True)
        swallowed = self._do(self.__wrapped__.__exit__, kind, error, traceback)
        _exited(self)
        return swallowed


class _EntersAsync(Proxy):
    """`async with stream:`, or a manager that gives the stream when it is entered."""

    __slots__ = ()

    async def __aenter__(self) -> Any:
        return _entered(self, await _stepped(self, self.__wrapped__.__aenter__))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        call = self._self_call
        if error is not None:
            call.broke(error, outside=True)
        swallowed = await _stepped(self, self.__wrapped__.__aexit__, kind, error, traceback)
        _exited(self)
        return swallowed


def _entered(proxy: Proxy, given: Any) -> Any:
    if given is proxy.__wrapped__:
        return proxy
    call = proxy._self_call
    if is_stream(type(given)):
        _put(proxy, "_self_owner", False)  # the stream is what the call hangs on now, and the exit
        return proxied(given, call)
    return given


def _exited(proxy: Proxy) -> None:
    """End the call of a manager that was left: a stream that is not exhausted was closed, anything else is complete."""
    call = proxy._self_call
    if is_stream(type(proxy.__wrapped__)) or not proxy._self_owner:
        call.close_early()
    else:
        call.end()


class _Awaits(Proxy):
    """`await result`, where that may give a stream."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, Any]:
        return awaited(self, self.__wrapped__).__await__()


class _Runs(_Awaits):
    """A coroutine, as tasks drive it."""

    __slots__ = ()

    def _run(self) -> Any:
        if self._self_run is None:
            _put(self, "_self_run", awaited(self, self.__wrapped__))
        return self._self_run

    def send(self, value: Any) -> Any:
        return self._run().send(value)

    def throw(self, *error: Any) -> Any:
        return self._run().throw(*error)

    def close(self) -> None:
        if self._self_run is None:
            self.__wrapped__.close()
            self._self_call.close_early()
        else:
            self._run().close()


async def awaited(proxy: Proxy, awaitable: Any) -> Any:
    """Return what `awaitable` resolves to, as the call's result."""
    from otel_llm.instrument.settle import settle

    call = proxy._self_call
    result = await _stepped(proxy, _itself, awaitable)
    _put(proxy, "_self_owner", False)
    return settle(call, result)


def _itself(awaitable: Any) -> Any:
    return awaitable


# -- closing, by whatever name ---------------------------------------------------------------------------------------

_CLOSES: Final = frozenset(("close", "aclose"))


def _closing(call: "Call", close: Callable[..., Any]) -> Callable[..., Any]:
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


# -- a class for every type ------------------------------------------------------------------------------------------

_FORWARDED: Final = (
    "__call__",
    "__bool__",
    "__contains__",
    "__length_hint__",
    "__str__",
    "__format__",
    "__reduce_ex__",
)
_classes: "Final[WeakKeyDictionary[type, type[Proxy] | None]]" = WeakKeyDictionary()


def is_stream(kind: type) -> bool:
    """Return whether instances of `kind` are streams: iterators that are no container and no file."""
    if issubclass(kind, io.IOBase) or hasattr(kind, "__len__") or hasattr(kind, "__getitem__"):
        return False
    return hasattr(kind, "__next__") or hasattr(kind, "__aiter__")


def stands_for(kind: type) -> type[Proxy] | None:
    """Return the class of proxies for instances of `kind`, None when those are values and returned as they are."""
    try:
        return _classes[kind]
    except KeyError:
        made = _classes[kind] = _make(kind)
        return made


def _make(kind: type) -> type[Proxy] | None:
    stream = is_stream(kind)
    manager = (hasattr(kind, "__enter__") or hasattr(kind, "__aenter__")) and not _is_value(kind)
    awaits = hasattr(kind, "__await__") and not hasattr(kind, "add_done_callback")
    if not (stream or manager or awaits):
        return None
    parts: list[type[Proxy]] = []
    if issubclass(kind, CoroutineType) or (awaits and hasattr(kind, "send") and hasattr(kind, "close")):
        parts.append(_Runs)
    elif awaits:
        parts.append(_Awaits)
    if issubclass(kind, GeneratorType):
        parts.append(_Sends)
    if issubclass(kind, AsyncGeneratorType):
        parts.append(_SendsAsync)
    parts += [part for name, part in _PARTS if hasattr(kind, name) and (stream or "iter" not in name)]
    closed = not kind.__dictoffset__ and not hasattr(kind, "__getattr__")  # all it has is on its type
    parts.append(Proxy if closed else _Looks)
    members: dict[str, Any] = {name: _forward(name) for name in _FORWARDED if _has_own(kind, name)}
    if closed:
        members |= {name: _property(name) for name in dir(kind) if not any(hasattr(part, name) for part in parts)}
    return type(kind.__name__, tuple(parts), {"__slots__": (), **members})


_PARTS: Final[tuple[tuple[str, type[Proxy]], ...]] = (
    ("__next__", _Iterates),
    ("__aiter__", _IteratesAsync),
    ("__enter__", _Enters),
    ("__aenter__", _EntersAsync),
)


def _is_value(kind: type) -> bool:
    """Return whether something that can be entered is none the less a value: a response, a file, a lock, a mock."""
    return any(hasattr(kind, name) for name in ("read", "close", "aclose", "release", "__len__", "__getitem__"))


def _has_own(kind: type, name: str) -> bool:
    return getattr(kind, name, None) is not getattr(object, name, None)


def _property(name: str) -> property:
    return property(lambda self: _given(self, name))


def _forward(name: str) -> Callable[..., Any]:
    def forward(self: Proxy, *args: Any) -> Any:
        return getattr(self.__wrapped__, name)(*args)

    forward.__name__ = name
    return forward


def proxied(result: Any, call: "Call", *, owner: bool = True) -> Any:
    """Return the proxy of `result` for `call`; `result` itself where it is a value."""
    kind = stands_for(type(result))
    return result if kind is None else kind(result, call, owner=owner)
