"""What runs of agents share: one span around the calls of models that a run makes, which are what is counted.

The functions that run an agent call each other; only the outermost is measured. A run of another agent inside of it, by
a tool, has a span of its own.
"""

from collections.abc import Mapping
from types import MethodType
from typing import Any

from opentelemetry import context as otel

from otel_llm import conventions as names
from otel_llm.instrumentation.calls.answers import read_usage
from otel_llm.instrumentation.calls.call import call_in
from otel_llm.instrumentation.calls.hooks import MeasuredCall
from otel_llm.instrumentation.calls.options import Options

__all__ = ["RUNS", "begins", "described", "result", "runs"]

RUNS = Options(operation=names.INVOKE_AGENT, kind="internal")


def begins(agent: Any) -> bool:
    """Return whether a run of `agent` begins here, and is not under way already."""
    call = call_in(otel.get_current())
    return call is None or call.state is not agent


def runs(call: MeasuredCall, agent: Any) -> None:
    """Note whose run a call is."""
    call.state = agent


def described(agent: Any, provider: str) -> Mapping[str, Any]:
    """Return what is known of the run of an agent, which may have a name, and a model by its name or as an object."""
    model = getattr(agent, "model", None)
    name = getattr(agent, "name", None)
    model_name = (
        model if isinstance(model, str) else getattr(model, "model_name", None) or getattr(model, "model", None)
    )
    return {
        "provider": provider,
        "model": model_name if isinstance(model_name, str) else None,
        "attributes": {names.AGENT_NAME: name} if isinstance(name, str) else {},
    }


def result(call: MeasuredCall, answer: Any) -> None:
    """Take usage off the answer of a run whose model is measured by nobody; else the calls inside have told of it."""
    if call.observation is None or call.inside:
        return
    usage = getattr(answer, "usage", None)
    read_usage({"usage": usage() if isinstance(usage, MethodType) else usage}, call.observation)
