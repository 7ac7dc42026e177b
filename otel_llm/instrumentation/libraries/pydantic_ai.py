"""The `pydantic_ai` library: runs of agents, streamed or not, around the calls that their models make."""

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from functools import wraps
from types import TracebackType
from typing import Any, Final

from otel_llm.instrumentation.calls.attaching import attach, leave
from otel_llm.instrumentation.calls.hooks import Hooks
from otel_llm.instrumentation.calls.isolation import guarded
from otel_llm.instrumentation.libraries import agent_runs
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings
from otel_llm.instrumentation.streams.entering import EntersAsync
from otel_llm.instrumentation.streams.proxy import Looks, put
from otel_llm.record import OTHER

__all__ = ["targets"]

_RUNS: Final = ("run", "run_sync", "run_stream", "run_stream_sync")  # `run_stream_events` calls `run`


def targets(_: Settings) -> Iterable[LibraryTarget]:
    """Say what is measured. Every class of agents has an `iter` of its own, and inherits the others, which call it."""
    hooks = Hooks(
        only=lambda agent, _: agent_runs.begins(_innermost(agent)),
        describe=lambda agent, _: agent_runs.described(agent, "pydantic_ai"),
        prepare=lambda call, *_: agent_runs.runs(call, _innermost(call.instance)),
        gives_way=True,
        keeps_inside=True,
        result=agent_runs.result,
        item=_no_token,
    )
    where, owner = "pydantic_ai.agent.abstract", "AbstractAgent"
    yield LibraryTarget(where, owner, _RUNS, agent_runs.RUNS, hooks)
    by_steps = replace(hooks, wrap=lambda call, block: _Block(block, call))
    yield LibraryTarget(where, owner, ("iter",), agent_runs.RUNS, by_steps, below=True)


def _innermost(agent: Any) -> Any:
    """Return the agent that runs when `agent` does: one that wraps another runs that one."""
    while (wrapped := getattr(agent, "wrapped", None)) is not None:
        agent = wrapped
    return agent


def _no_token(*_: Any) -> int:
    return OTHER


class _Block(EntersAsync, Looks):
    """`async with agent.iter(…) as run:`, whose body makes the steps of the run, so that it is a part of the call."""

    __slots__ = ("_self_entered", "_self_token")

    _self_entered: Any
    _self_token: Any

    def __call__(self, function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
        """Return `function` with each of its calls made inside a run of its own; none has begun by now."""
        self._self_call.forget()
        block = self.__wrapped__
        agent, *args = block.args

        @wraps(function)
        async def decorated(*given: Any, **named: Any) -> Any:
            async with agent.iter(*args, **block.kwds):
                return await function(*given, **named)

        return decorated

    async def __aenter__(self) -> Any:
        call = self._self_call
        put(self, "_self_token", attach(call.context))
        try:
            put(self, "_self_entered", await self.__wrapped__.__aenter__())
        except BaseException as error:
            leave(self._self_token)
            call.broke(error)
            raise
        return self._self_entered

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        call, run = self._self_call, self._self_entered
        try:
            swallowed = await self.__wrapped__.__aexit__(kind, error, traceback)
        except BaseException as raised:
            call.broke(raised)
            raise
        finally:
            leave(self._self_token)
        if error is not None and not swallowed:
            call.broke(error)
        elif (answer := guarded("result", getattr, run, "result")) is not None:
            call.returned(answer)
        else:  # the body left before the last step
            guarded("result", agent_runs.result, call, run)
            call.close_early()
        return swallowed
