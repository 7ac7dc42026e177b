"""The `ollama` library: `chat` and `generate`, of clients and of the module itself."""

from collections.abc import Iterable, Mapping
from typing import Any

from otel_llm.instrumentation.calls.answers import read_usage
from otel_llm.instrumentation.calls.hooks import Hooks, MeasuredCall
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings
from otel_llm.instrumentation.libraries.request import parameters
from otel_llm.instrumentation.libraries.stainless import server_of
from otel_llm.observation import StreamObservation
from otel_llm.record import OTHER, PADDING, REASONING, TEXT, TOOL

__all__ = ["targets"]


def targets(_: Settings) -> Iterable[LibraryTarget]:
    """Say what is measured. The library takes no headers for a request, so it sends no trace headers."""
    for owner in ("Client", "AsyncClient"):
        for name, operation in (("chat", "chat"), ("generate", "text_completion")):
            options = Options(operation=operation, kind="client")
            hooks = Hooks(positional=("model",), describe=_describe, item=_kind_of_part, result=_result)
            # early: ollama.chat is a method of a client
            yield LibraryTarget("ollama._client", owner, (name,), options, hooks, early=True)


def _describe(client: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    options = asked.get("options")
    given = options if isinstance(options, Mapping) else getattr(options, "__dict__", {})
    server = server_of(_Resource(client))
    return {"provider": "ollama", "parameters": parameters(given), **server}


class _Resource:
    """A client, as `server_of` knows those of other libraries."""

    def __init__(self, client: Any) -> None:
        self._client = getattr(client, "_client", None)


def _kind_of_part(part: Any, observation: StreamObservation) -> int:
    """Return the kind of a part of an answer. The last one has the bill, and content of its own at times."""
    done = getattr(part, "done", False)
    if done:
        _take(part, observation)
    message = getattr(part, "message", None) or part
    if getattr(message, "content", None) or getattr(part, "response", None):
        return TEXT
    if getattr(message, "thinking", None):
        return REASONING
    if getattr(message, "tool_calls", None):
        return TOOL
    return OTHER if done else PADDING


def _result(call: MeasuredCall, answer: Any) -> None:
    if call.observation is not None:
        _take(answer, call.observation)


def _take(answer: Any, observation: StreamObservation) -> None:
    read_usage(answer, observation)
    if reason := getattr(answer, "done_reason", None):
        observation.set(finish_reasons=(reason,))
