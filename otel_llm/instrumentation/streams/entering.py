"""Entering and awaiting a proxy: managers that give a stream, coroutines that resolve to one."""

from collections.abc import Generator
from types import TracebackType
from typing import Any

from otel_llm.instrumentation.streams.proxy import Proxy, is_stream, put, run_step

__all__ = ["Awaits", "Enters", "EntersAsync", "Runs"]


class Enters(Proxy):
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


class EntersAsync(Proxy):
    """`async with stream:`, or a manager that gives the stream when it is entered."""

    __slots__ = ()

    async def __aenter__(self) -> Any:
        return _entered(self, await run_step(self, self.__wrapped__.__aenter__))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        call = self._self_call
        if error is not None:
            call.broke(error, outside=True)
        swallowed = await run_step(self, self.__wrapped__.__aexit__, kind, error, traceback)
        _exited(self)
        return swallowed


def _entered(proxy: Proxy, given: Any) -> Any:
    if given is proxy.__wrapped__:
        return proxy
    call = proxy._self_call
    if is_stream(type(given)):
        put(proxy, "_self_owner", False)  # the stream is what the call hangs on now, and the exit
        return call.stand_in(given)
    return given


def _exited(proxy: Proxy) -> None:
    """End the call of a manager that was left: a stream that is not exhausted was closed, anything else is complete."""
    call = proxy._self_call
    if is_stream(type(proxy.__wrapped__)) or not proxy._self_owner:
        call.close_early()
    else:
        call.end()


class Awaits(Proxy):
    """`await result`, where that may give a stream."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, Any]:
        return awaited(self, self.__wrapped__).__await__()


class Runs(Awaits):
    """A coroutine, as tasks drive it."""

    __slots__ = ()

    def _run(self) -> Any:
        if self._self_run is None:
            put(self, "_self_run", awaited(self, self.__wrapped__))
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
    call = proxy._self_call
    result = await run_step(proxy, _itself, awaitable)
    put(proxy, "_self_owner", False)
    return call.settle(result)


def _itself(awaitable: Any) -> Any:
    return awaitable
