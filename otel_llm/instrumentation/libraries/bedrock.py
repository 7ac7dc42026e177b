"""Amazon Bedrock by `boto3`: `converse`, `invoke_model` and their streams, of every client for `bedrock-runtime`.

What is measured is the one method below all operations of all of botocore's clients; those of other services, and of
Bedrock's others, go by. No trace headers are added: a request is signed with its headers, and Bedrock joins no trace.
"""

import os
import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, cast

from otel_llm import conventions as names
from otel_llm.instrumentation.calls.answers import read_json
from otel_llm.instrumentation.calls.hooks import GOES_ON, Hooks, MeasuredCall
from otel_llm.instrumentation.calls.in_flight import OpenCall, abandon_soon
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings
from otel_llm.instrumentation.libraries.request import parameters, server_in_text
from otel_llm.instrumentation.streams.proxy import Looks, put
from otel_llm.observation import StreamObservation
from otel_llm.record import OTHER, PADDING, REASONING, TEXT, TOOL

__all__ = ["targets"]

_STREAMS: Final = {
    "Converse": None,
    "ConverseStream": "stream",
    "InvokeModel": None,
    "InvokeModelWithResponseStream": "body",
}
"""Operations that ask a model, and where in their results the stream is."""
_ASKS_CONTENT: Final = {names.CAPTURE_CONTENT, names.COMPLETION_HOOK}
_HEADERS: Final = "x-amzn-bedrock-{}-token-count"
_PARAMETERS: Final = {
    "maxTokens": "max_tokens",
    "max_tokens_to_sample": "max_tokens",
    "max_gen_len": "max_tokens",
    "topP": "top_p",
    "topK": "top_k",
    "stopSequences": "stop_sequences",
}
_TEXTS: Final = ("generation", "outputText", "completion")
"""Where models that have no event types of their own put the text of a chunk."""


def targets(_: Settings) -> Iterable[LibraryTarget]:
    """Say what is measured."""
    hooks = Hooks(
        only=_asks_a_model,
        positional=("operation", "asked"),
        describe=_describe,
        wrap=_wrap,
        item=_kind_of_event,
        result=_result,
        leaf=True,
    )
    yield LibraryTarget("botocore.client", "BaseClient", ("_make_api_call",), Options(kind="client"), hooks)


def _asks_a_model(client: Any, args: tuple[Any, ...]) -> bool:
    return args[:1] != () and args[0] in _STREAMS and client.meta.service_model.service_name == "bedrock-runtime"


def _describe(client: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    asked = given["asked"]
    said = asked.get("inferenceConfig") or read_json(asked.get("body"))
    said = said.get("textGenerationConfig") or said.get("inferenceConfig") or said
    renamed = {_PARAMETERS.get(name, name): value for name, value in said.items()}
    return {
        "provider": "aws.bedrock",
        "model": asked.get("modelId"),
        "parameters": parameters(renamed),
        **server_in_text(client.meta.endpoint_url),
    }


def _wrap(call: MeasuredCall, result: Any) -> Any:
    """Return a result whose stream is stamped, None for one without."""
    for name in filter(None, _STREAMS.values()):
        if hasattr(stream := result.get(name), "__iter__") and not hasattr(stream, "read"):
            return {**result, name: _Events(stream, call)}
    if hasattr(result.get("body"), "read") and not _ASKS_CONTENT.isdisjoint(os.environ):
        _show_body(call, result)
        return GOES_ON
    return None


def _show_body(call: MeasuredCall, result: Mapping[str, Any]) -> None:
    """Let the call end when its caller has read the body, which may be read once, and take what it says."""
    body, pieces = result["body"], list[bytes]()
    read_on = body.read

    def read(amt: int | None = None) -> Any:
        piece = read_on(amt)
        pieces.append(piece)
        if amt is None or not piece:
            call.returned({**result, "body": read_json(b"".join(pieces))})
        return piece

    body.read = read
    weakref.finalize(body, abandon_soon, cast("OpenCall", call)).atexit = False  # at exit it is told of anyway


class _Events(Looks):
    """An event stream of botocore: no iterator, but what gives one."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        put(self, "_self_owner", False)  # the iterator is what the call hangs on now
        events: Iterator[Any] = self._self_call.stand_in(iter(self.__wrapped__))
        return events

    def close(self) -> None:
        self.__wrapped__.close()
        self._self_call.close_early()


# -- what was answered ---------------------------------------------------------------------------------------------


def _result(call: MeasuredCall, result: Any) -> None:
    if (observation := call.observation) is None:
        return
    _take(result, observation)
    if isinstance(body := result.get("body"), Mapping):
        _take_reason(body, observation)
    headers = result.get("ResponseMetadata", {}).get("HTTPHeaders", {})  # of `invoke_model`: its body is still unread
    given, made = (headers.get(_HEADERS.format(which)) for which in ("input", "output"))
    if given is not None and made is not None:
        observation.usage(input=int(given), output=int(made))


def _take(said: Mapping[str, Any], observation: StreamObservation) -> None:
    """Take usage and the reason of the end. What a cache read and wrote is billed apart, and is input too."""
    if reason := said.get("stopReason"):
        observation.set(finish_reasons=(reason,))
    if bill := said.get("usage"):
        read, written = bill.get("cacheReadInputTokens"), bill.get("cacheWriteInputTokens")
        if (given := bill.get("inputTokens")) is not None:
            given += (read or 0) + (written or 0)
        observation.usage(input=given, output=bill.get("outputTokens"), cached=read, cache_written=written)


def _take_reason(said: Mapping[str, Any], observation: StreamObservation) -> None:
    """Take the reason of the end from where the model's own format has it."""
    results: Any = said.get("results") or ({},)
    places = (said.get("stop_reason"), said.get("delta", {}).get("stop_reason"), said.get("stopReason"))
    if reason := next(filter(None, (*places, said.get("completionReason"), results[0].get("completionReason"))), None):
        observation.set(finish_reasons=(reason,))


def _kind_of_event(event: Any, observation: StreamObservation) -> int:
    """Return the kind of an event of `converse_stream`, or of the model's own that `invoke_model` passes on."""
    if (chunk := event.get("chunk")) is not None:
        return _kind_of_chunk(read_json(chunk.get("bytes")), observation)
    if (delta := event.get("contentBlockDelta", {}).get("delta")) is not None:
        return _kind_of_delta(delta)
    if event.get("contentBlockStart", {}).get("start", {}).get("toolUse"):
        return TOOL
    for name in ("messageStop", "metadata"):
        if said := event.get(name):
            _take(said, observation)
            return OTHER
    return PADDING


def _kind_of_delta(delta: Mapping[str, Any]) -> int:
    if delta.get("text"):
        return TEXT
    if delta.get("reasoningContent") or delta.get("thinking"):
        return REASONING
    return TOOL if delta.get("toolUse") or delta.get("partial_json") else PADDING


def _kind_of_chunk(said: Mapping[str, Any], observation: StreamObservation) -> int:
    """Return the kind of a chunk in the model's own format. The last one has Bedrock's counts, whosever it is."""
    if bill := said.get("amazon-bedrock-invocationMetrics"):
        observation.usage(input=bill.get("inputTokenCount"), output=bill.get("outputTokenCount"))
    _take_reason(said, observation)
    if "contentBlockDelta" in said:  # Amazon's own models
        return _kind_of_delta(said["contentBlockDelta"].get("delta", {}))
    if said.get("type") == "content_block_delta":  # Anthropic's
        return _kind_of_delta(said.get("delta", {}))
    outputs = said.get("outputs") or ()  # Mistral's
    if any(said.get(name) for name in _TEXTS) or any(output.get("text") for output in outputs):
        return TEXT
    return OTHER if bill else PADDING
