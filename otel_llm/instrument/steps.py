"""One step of a stream: the hot path, run once for every chunk.

A step is a closure: what it needs is bound once, and it holds the call, never the proxy, so that a proxy that is let
go of is gone at once. Per chunk it attaches and detaches the context, reads the clock and appends a number.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from otel_llm.instrument.context import attach, detach

if TYPE_CHECKING:
    from otel_llm.instrument.call import Call

__all__ = ["async_stepper", "stepper"]


class _Unlike:
    """Of this class no item is: each is looked at."""


def stepper(call: "Call", following: Callable[[], Any]) -> Callable[[], Any]:
    """Return the function that gives the next item of an iterator (`following`), stamped."""
    context, now_ns, took = call.context, call.now_ns, call.took
    stamp, broke, enter, leave = call.at_ns.append, call.broke, attach, detach
    plain: type = str if call.plain else _Unlike

    def step() -> Any:
        token = enter(context)
        try:
            item = following()
        except BaseException as error:
            broke(error)
            raise
        finally:
            try:  # noqa: SIM105  # `suppress` would cost as much as the rest of the step
                leave(token)
            except ValueError:  # driven in another context meanwhile
                pass
        stamp(now_ns())
        if type(item) is not plain or not item:
            took(item)
        return item

    return step


def async_stepper(call: "Call", following: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    """Return the function whose coroutine gives the next item of an async iterator (`following`), stamped."""
    context, now_ns, took = call.context, call.now_ns, call.took
    stamp, broke, enter, leave = call.at_ns.append, call.broke, attach, detach
    plain: type = str if call.plain else _Unlike

    async def step() -> Any:
        token = enter(context)
        try:
            item = await following()
        except BaseException as error:
            broke(error)
            raise
        finally:
            try:  # noqa: SIM105
                leave(token)
            except ValueError:  # finalised by the collector, in another context
                pass
        stamp(now_ns())
        if type(item) is not plain or not item:
            took(item)
        return item

    return step
