"""The `cohere` library: chat and embeddings of both of its generations of clients, sync and async.

A client has copies of its methods, so one that was made before instrumenting goes on unmeasured.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from otel_llm.instrumentation.calls.hooks import Hooks, MeasuredCall
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings
from otel_llm.instrumentation.libraries.request import parameters, server_in_text
from otel_llm.observation import StreamObservation
from otel_llm.record import OTHER, PADDING, REASONING, TEXT, TOOL

__all__ = ["targets"]

_CLIENTS: Final = (
    ("v2.client", "V2Client"),
    ("v2.client", "AsyncV2Client"),
    ("base_client", "BaseCohere"),
    ("base_client", "AsyncBaseCohere"),
)


def targets(_: Settings) -> Iterable[LibraryTarget]:
    """Say what is measured. A stream asks when its first item is asked for, so no trace headers are added."""
    hooks = Hooks(describe=_describe, item=_kind_of_event, result=_result, leaf=True)
    for names, operation in ((("chat", "chat_stream"), "chat"), (("embed",), "embeddings")):
        options = Options(operation=operation, kind="client")
        for module, owner in _CLIENTS:
            yield LibraryTarget(f"cohere.{module}", owner, names, options, hooks)


def _describe(client: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    wrapper = getattr(getattr(client, "_raw_client", None), "_client_wrapper", None)
    url = None if wrapper is None else wrapper.get_base_url()
    given = {**asked, "top_p": asked.get("p"), "top_k": asked.get("k")}
    return {"provider": "cohere", "parameters": parameters(given), **server_in_text(url)}


def _kind_of_event(event: Any, observation: StreamObservation) -> int:
    """Return the kind of an event: of v2 they have a `type`, of v1 an `event_type`."""
    match getattr(event, "type", None) or getattr(event, "event_type", None):
        case "content-delta":
            content = getattr(getattr(event.delta, "message", None), "content", None)
            if getattr(content, "thinking", None):
                return REASONING
            return TEXT if getattr(content, "text", None) else PADDING
        case "text-generation":
            return TEXT if event.text else PADDING
        case "tool-plan-delta":
            return REASONING
        case "tool-call-start" | "tool-call-delta" | "tool-calls-chunk" | "tool-calls-generation":
            return TOOL
        case "message-start":
            _identify(event, observation)
        case "message-end":
            _bill(getattr(event.delta, "usage", None), observation)
            _end(event.delta, observation)
            return OTHER
        case "stream-end":
            _take(event.response, observation)
            _end(event, observation)
            return OTHER
    return PADDING


def _result(call: MeasuredCall, answer: Any) -> None:
    if call.observation is not None:
        _take(answer, call.observation)


def _take(answer: Any, observation: StreamObservation) -> None:
    """Take what an answer says about itself. Its usage is its own in v2, and in its `meta` otherwise."""
    _identify(answer, observation)
    _bill(getattr(answer, "usage", None) or getattr(answer, "meta", None), observation)
    _end(answer, observation)


def _identify(answer: Any, observation: StreamObservation) -> None:
    if isinstance(name := getattr(answer, "id", None) or getattr(answer, "generation_id", None), str):
        observation.set(response_id=name)


def _end(answer: Any, observation: StreamObservation) -> None:
    if isinstance(reason := getattr(answer, "finish_reason", None), str):
        observation.set(finish_reasons=(reason,))


def _bill(usage: Any, observation: StreamObservation) -> None:
    """Take what was billed; else what was used, which has the words that cohere put around the prompt."""
    for counts in (getattr(usage, "billed_units", None), getattr(usage, "tokens", None)):
        given, made = getattr(counts, "input_tokens", None), getattr(counts, "output_tokens", None)
        if given is not None or made is not None:
            observation.usage(input=_whole(given), output=_whole(made))
            return


def _whole(count: float | None) -> int | None:
    return None if count is None else int(count)
