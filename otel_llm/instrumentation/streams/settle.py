"""What becomes of a call's result: decided on what was returned, not on the function that returned it.

A `def` may return a coroutine, and a coroutine may resolve to a stream; only the object tells.
"""

from typing import TYPE_CHECKING, Any

from otel_llm.instrumentation.calls.isolation import guarded
from otel_llm.instrumentation.streams.stand_in import stands_for

if TYPE_CHECKING:
    from otel_llm.instrumentation.calls.call import Call

__all__ = ["reported", "settle"]


def settle(call: "Call", result: Any) -> Any:
    """Return `result`, or its proxy where the call goes on in it; a value ends the call."""
    if (wrap := call.options.wrap) is not None and (made := guarded("wrap", wrap, call, result)) is not None:
        return made
    if (kind := guarded("result", stands_for, type(result))) is not None:
        made = guarded("proxy", kind, result, call)
        return result if made is None else made
    if hasattr(type(result), "add_done_callback"):
        result.add_done_callback(lambda future: guarded("future", _resolved, call, future))
    else:
        call.returned(result)
    return result


def _resolved(call: "Call", future: Any) -> None:
    """End the call whose result is a future. That object is the caller's to cancel, so it is not wrapped."""
    try:
        value = future.result()
    except BaseException as error:
        call.broke(error)
    else:
        call.returned(value)


def reported(call: "Call", result: Any) -> Any:
    """Return the text of the call's metrics in its result's place; of an asynchronous call, a coroutine of it."""
    if hasattr(type(result), "__await__") or hasattr(type(result), "__aiter__"):
        return _reported(call, result)
    if hasattr(type(result), "__next__") and call.open:
        for _ in result:
            pass
    return _text(call)


async def _reported(call: "Call", result: Any) -> str | None:
    if hasattr(type(result), "__await__"):
        result = await result
    if hasattr(type(result), "__aiter__") and call.open:
        async for _ in result:
            pass
    return _text(call)


def _text(call: "Call") -> str | None:
    return None if call.finished is None else str(call.finished.metrics)
