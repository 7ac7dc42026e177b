"""Iterating over a proxy: every item stamped as it goes by, with the call's context attached around that step alone."""

from collections.abc import AsyncIterator, Callable, Iterator
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from otel_llm.instrumentation.calls.attaching import attach, detach
from otel_llm.instrumentation.streams.proxy import Bound, Proxy, StandInCall, put, run_step

__all__ = ["Iterates", "IteratesAsync", "Sends", "SendsAsync"]


class _Unlike:
    """Of this class no item is: each is looked at."""


def _bind(call: StandInCall, step: Callable[[], Any]) -> Bound:
    """Return what a step needs, bound once and kept as one value: an attribute of a proxy may cost a call."""
    items, context = call.stream_items(), None if call.hooks.leaf else call.context
    return context, step, items.at_ns.append, call.now_ns, str if items.plain else _Unlike, items.take


# The methods below that give an item are the hot path, and alike for that reason: per chunk they attach and detach the
# context (where the stream may run code that asks for it), read the clock and append a number, and of what is no string
# the call looks at it. A function more would cost as much as all of that, and so would a `suppress`.


class Iterates(Proxy):
    """`for item in stream`."""

    __slots__ = ()

    def __init__(self, wrapped: Any, call: Any, *, owner: bool = True) -> None:
        super().__init__(wrapped, call, owner=owner)
        call.streamed = True

    def __iter__(self) -> Any:
        inner = self._self_call.hooks.inner
        if inner is not None and type(generator := inner(self.__wrapped__)) is GeneratorType:
            return self._each(self._begin(), generator)
        iterator = iter(self.__wrapped__)
        if iterator is not self.__wrapped__:
            put(self, "_self_bound", _bind(self._begin(), iterator.__next__))
        return self

    def __next__(self) -> Any:
        if (bound := self._self_bound) is None:
            put(self, "_self_bound", bound := _bind(self._begin(), self.__wrapped__.__next__))
        context, step, stamp, now_ns, plain, take = bound
        if context is None:
            try:
                item = step()
            except BaseException as error:
                self._self_call.broke(error)
                raise
        else:
            token = attach(context)
            try:
                item = step()
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
            take(item)
        return item

    def _each(self, call: StandInCall, iterator: Iterator[Any]) -> Iterator[Any]:
        """Give the items of a generator by one of ours, in place of one of theirs that only passes them on.

        It holds this proxy, so that a loop over a stream that nothing else holds ends with it.
        """
        _, _, stamp, now_ns, plain, take = _bind(call, iterator.__next__)
        try:
            for item in iterator:
                stamp(now_ns())
                if type(item) is not plain or not item:
                    take(item)
                yield item
        except GeneratorExit:  # this loop is over, and the stream may be kept
            raise
        except BaseException as error:
            call.broke(error)
            raise
        call.end()


class IteratesAsync(Proxy):
    """`async for item in stream`."""

    __slots__ = ()

    def __init__(self, wrapped: Any, call: Any, *, owner: bool = True) -> None:
        super().__init__(wrapped, call, owner=owner)
        call.streamed = True

    def __aiter__(self) -> Any:
        inner = self._self_call.hooks.inner
        if inner is not None and type(generator := inner(self.__wrapped__)) is AsyncGeneratorType:
            return self._each(self._begin(), generator)
        iterator = self.__wrapped__.__aiter__()
        if iterator is not self.__wrapped__:
            put(self, "_self_abound", _bind(self._begin(), iterator.__anext__))
        return self

    async def __anext__(self) -> Any:
        if (bound := self._self_abound) is None:
            put(self, "_self_abound", bound := _bind(self._begin(), self.__wrapped__.__anext__))
        context, step, stamp, now_ns, plain, take = bound
        if context is None:
            try:
                item = await step()
            except BaseException as error:
                self._self_call.broke(error)
                raise
        else:
            token = attach(context)
            try:
                item = await step()
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
            take(item)
        return item

    async def _each(self, call: StandInCall, iterator: AsyncIterator[Any]) -> AsyncIterator[Any]:
        _, _, stamp, now_ns, plain, take = _bind(call, iterator.__anext__)
        try:
            async for item in iterator:
                stamp(now_ns())
                if type(item) is not plain or not item:
                    take(item)
                yield item
        except GeneratorExit:
            raise
        except BaseException as error:
            call.broke(error)
            raise
        call.end()


class Sends(Proxy):
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


class SendsAsync(Proxy):
    """The rest of an async generator."""

    __slots__ = ()

    async def asend(self, value: Any) -> Any:
        return self._self_call.note(await run_step(self, self.__wrapped__.asend, value))

    async def athrow(self, *error: Any) -> Any:
        return self._self_call.note(await run_step(self, self.__wrapped__.athrow, *error))

    async def aclose(self) -> None:
        if self._self_call.open:
            await run_step(self, self.__wrapped__.aclose)
            self._self_call.close_early()
        else:
            await self.__wrapped__.aclose()
