"""The `anthropic` library: messages, by `create`, `.parse()` and `.stream()`, sync and async, the beta ones too."""

from collections.abc import Iterable, Mapping
from typing import Any

from otel_llm.instrumentation.calls.hooks import Arguments, Hooks, MeasuredCall
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries import stainless
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings
from otel_llm.instrumentation.libraries.anthropic_tracing import keep_quiet
from otel_llm.instrumentation.libraries.request import parameters
from otel_llm.instrumentation.streams.entering import Enters, EntersAsync
from otel_llm.instrumentation.streams.proxy import Looks, is_stream, put, run_step
from otel_llm.observation import StreamObservation
from otel_llm.record import OTHER, PADDING, REASONING, TEXT, TOOL

__all__ = ["targets"]


def targets(settings: Settings) -> Iterable[LibraryTarget]:
    """Say what is measured."""
    send_headers = stainless.sends_headers(settings)

    def prepare(call: MeasuredCall, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments | None:
        keep_quiet(call)
        return None if send_headers is None else send_headers(call, args, kwargs)

    hooks = Hooks(
        describe=_describe,
        prepare=prepare,
        wrap=_wrap,
        item=_kind_of_event,
        result=_result,
    )
    for module in ("anthropic.resources.messages.messages", "anthropic.resources.beta.messages.messages"):
        for owner in ("Messages", "AsyncMessages"):
            yield LibraryTarget(module, owner, ("create", "parse", "stream"), Options(kind="client"), hooks)


def _describe(resource: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    return {"provider": "anthropic", "parameters": parameters(asked), **stainless.server_of(resource)}


def _result(call: MeasuredCall, message: Any) -> None:
    if call.observation is not None:
        _take(message, call.observation)


def _wrap(call: MeasuredCall, result: Any) -> Any:
    kind = type(result)
    if (hasattr(kind, "__enter__") or hasattr(kind, "__aenter__")) and not is_stream(kind):
        return _Manager(result, call)
    return stainless.raw_response(call, result)


class _Manager(Enters, EntersAsync, Looks):
    """What `.stream()` gives. Its stream has many ways to be read; all of them read the one below it."""

    __slots__ = ()

    def __enter__(self) -> Any:
        return self._inside(self._do(self.__wrapped__.__enter__))

    async def __aenter__(self) -> Any:
        return self._inside(await run_step(self, self.__wrapped__.__aenter__))

    def _inside(self, stream: Any) -> Any:
        put(self, "_self_owner", False)
        if (below := getattr(stream, "_raw_stream", None)) is None:
            return self._self_call.stand_in(stream)
        stream._raw_stream = self._self_call.stand_in(below)
        return stream


def _kind_of_event(event: Any, observation: StreamObservation) -> int:
    """Return the kind of an event of a stream."""
    match getattr(event, "type", None):
        case "content_block_delta":
            return _content(event.delta)
        case "content_block_start":
            return _content(event.content_block)
        case "message_start":
            _take(event.message, observation, begun=True)
        case "message_delta":
            _take(event, observation)
            if reason := getattr(event.delta, "stop_reason", None):
                observation.set(finish_reasons=(reason,))
            return OTHER
    return PADDING


def _content(block: Any) -> int:
    if getattr(block, "text", None):
        return TEXT
    if getattr(block, "thinking", None):
        return REASONING
    return TOOL if getattr(block, "partial_json", None) or getattr(block, "name", None) else PADDING


def _take(message: Any, observation: StreamObservation, *, begun: bool = False) -> None:
    """Take what an answer says about itself. What its cache read and wrote is billed apart, and is input too.

    begun: it has only begun, and what it says of its output is no count of it yet
    """
    for field, name in (("response_model", "model"), ("response_id", "id")):
        if value := getattr(message, name, None):
            observation.set(**{field: value})
    if reason := getattr(message, "stop_reason", None):
        observation.set(finish_reasons=(reason,))
    if (bill := getattr(message, "usage", None)) is None:
        return
    cached, written = (getattr(bill, f"cache_{how}_input_tokens", None) for how in ("read", "creation"))
    if (given := getattr(bill, "input_tokens", None)) is not None:
        given += (cached or 0) + (written or 0)
    made = None if begun else getattr(bill, "output_tokens", None)
    observation.usage(input=given, output=made, cached=cached, cache_written=written)
