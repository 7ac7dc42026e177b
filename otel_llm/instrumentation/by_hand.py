"""`observe`: a call measured by hand, where there is no function to decorate."""

from types import TracebackType
from typing import Any, Unpack

from opentelemetry import context as otel

from otel_llm.instrumentation.calls.attaching import attach, leave
from otel_llm.instrumentation.calls.call import NO_HOOKS, Call, call_in
from otel_llm.instrumentation.calls.options import BlockArguments, Options
from otel_llm.instrumentation.loading import load_telemetry
from otel_llm.observation import StreamObservation

__all__ = ["observe"]


class observe:  # noqa: N801  # read as a verb: `with observe(...) as obs`
    """Measure what happens inside a `with` or `async with` block as one call.

    `with otel_llm.observe(operation="chat", model="mine") as obs:` gives the observation: `obs.mark(tokens=1,
    kind="text")` for everything that arrives, `obs.usage(input=…, output=…)` for the token counts, `obs.set(…)` for
    what else is learnt. The end of the block ends the call, an exception fails it, and `obs.end()` ends it before.

    The arguments are those of `metrics`, but for `tokens` and `returns`.
    """

    def __init__(
        self,
        operation: str = "chat",
        model: str | None = None,
        provider: str | None = None,
        **further: Unpack[BlockArguments],
    ) -> None:
        if unknown := further.keys() - BlockArguments.__annotations__:
            raise TypeError(f"observe() got an unexpected keyword argument {min(unknown)!r}")
        named = {"operation": operation, "model": model, "provider": provider}
        self._options = Options.given("observe", {**named, **further})
        self._under_way: list[tuple[Call, Any]] = []
        load_telemetry()

    def __enter__(self) -> StreamObservation:
        context = otel.get_current()
        call = Call(self._options, NO_HOOKS, context, call_in(context))
        call.begin()
        self._under_way.append((call, attach(call.context)))
        assert call.observation is not None  # noqa: S101  # begun
        return call.observation

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        call, token = self._under_way.pop()
        leave(token)
        if error is None:
            call.end()
        else:
            call.broke(error)

    async def __aenter__(self) -> StreamObservation:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)
