"""The `pydantic_ai` library: runs of agents, streamed or not, around the calls that their models make."""

from collections.abc import Iterable
from typing import Any, Final

from otel_llm.instrumentation.calls.hooks import Hooks
from otel_llm.instrumentation.libraries import agent_runs
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings
from otel_llm.record import OTHER

__all__ = ["targets"]

_RUNS: Final = ("run", "run_sync", "run_stream", "run_stream_sync")  # `run_stream_events` calls `run`


def targets(_: Settings) -> Iterable[LibraryTarget]:
    """Say what is measured. By `iter` the user makes the steps of a run himself, and no span is around them."""
    hooks = Hooks(
        only=lambda agent, _: agent_runs.begins(agent),
        describe=lambda agent, _: agent_runs.described(agent, "pydantic_ai"),
        prepare=lambda call, *_: agent_runs.runs(call, call.instance),
        gives_way=True,
        keeps_inside=True,
        result=agent_runs.result,
        item=_no_token,
    )
    yield LibraryTarget("pydantic_ai.agent.abstract", "AbstractAgent", _RUNS, agent_runs.RUNS, hooks)


def _no_token(*_: Any) -> int:
    return OTHER
