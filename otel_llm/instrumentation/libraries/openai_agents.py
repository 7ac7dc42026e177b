"""The `agents` library (openai-agents): runs of agents, streamed or not, around the calls that their models make."""

from collections.abc import Iterable, Mapping
from typing import Any

from otel_llm.instrumentation.calls.hooks import GOES_ON, Hooks, MeasuredCall
from otel_llm.instrumentation.calls.isolation import guarded
from otel_llm.instrumentation.libraries import agent_runs
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings

__all__ = ["targets"]


def targets(_: Settings) -> Iterable[LibraryTarget]:
    """Say what is measured. A run that is streamed goes on in a task, and ends with that, however it is read."""
    hooks = Hooks(
        only=lambda _, args: agent_runs.begins(args[0]) if args else True,
        positional=("starting_agent",),
        describe=lambda _, asked: agent_runs.described(asked.get("starting_agent"), "openai_agents"),
        prepare=_prepare,
        wrap=_wrap,
        gives_way=True,
        keeps_inside=True,
        result=_result,
    )
    names = ("run", "run_sync", "run_streamed")
    yield LibraryTarget("agents.run", "AgentRunner", names, agent_runs.RUNS, hooks)


def _prepare(call: MeasuredCall, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    agent_runs.runs(call, args[0] if args else kwargs.get("starting_agent"))


def _wrap(call: MeasuredCall, streaming: Any) -> Any:
    """Let a run that is streamed end with the task that it goes on in."""
    task = getattr(streaming, "run_loop_task", None)
    if task is None:
        return None

    def done(ended: Any) -> None:
        try:
            ended.result()
        except BaseException as error:
            call.broke(error)
        else:
            call.returned(streaming)

    task.add_done_callback(lambda ended: guarded("run", done, ended))
    return GOES_ON


def _result(call: MeasuredCall, answer: Any) -> None:
    agent_runs.result(call, getattr(answer, "context_wrapper", None))
