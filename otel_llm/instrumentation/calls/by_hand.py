"""`observe`: a call measured by hand, where there is no function to decorate."""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from otel_llm.instrumentation.calls.call import Call
from otel_llm.instrumentation.calls.current import attach, leave
from otel_llm.instrumentation.calls.options import Options
from otel_llm.observation import StreamObservation

if TYPE_CHECKING:
    from otel_llm.generation import GenerationMetrics

__all__ = ["observe"]


class observe:  # noqa: N801  # read as a verb: `with observe(...) as obs`
    """Measure what happens inside a `with` or `async with` block as one call.

    `with otel_llm.observe(operation="chat", model="mine") as obs:` gives the observation: `obs.mark(tokens=1,
    kind="text")` for everything that arrives, `obs.usage(input=…, output=…)` for the bill, `obs.set(…)` for what else
    is learnt. The end of the block ends the call, an exception fails it, and `obs.end()` ends it before.

    The arguments are those of `metrics`.
    """

    def __init__(
        self,
        operation: str = "chat",
        model: str | None = None,
        provider: str | None = None,
        *,
        kind: Literal["client", "internal"] = "internal",
        attributes: Mapping[str, Any] | None = None,
        on_metrics: "Callable[[GenerationMetrics], object] | None" = None,
    ) -> None:
        self._options = Options(
            operation=operation,
            model=model,
            provider=provider,
            kind=kind,
            attributes=attributes or {},
            on_metrics=on_metrics,
        )
        self._under_way: list[tuple[Call, Any]] = []

    def __enter__(self) -> StreamObservation:
        call = Call(self._options)
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
