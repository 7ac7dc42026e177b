"""langchain-core: every chat model and language model that is built on its base classes.

What such a model calls below itself, `openai` for example, is measured too: a span inside this one, counted once.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from opentelemetry import context as otel

from otel_llm.instrumentation.calls.answers import member, read_usage
from otel_llm.instrumentation.calls.call import call_in
from otel_llm.instrumentation.calls.hooks import Hooks, MeasuredCall
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings
from otel_llm.instrumentation.libraries.request import parameters
from otel_llm.observation import StreamObservation
from otel_llm.record import CACHED, OTHER, PADDING, REASONING, TEXT, TOOL, StreamRecord

__all__ = ["targets"]

_PROVIDERS: Final = {
    "amazon_bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
    "azure-openai-chat": "azure.ai.openai",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "openai-chat": "openai",
    "xai": "x_ai",
}
"""What langchain calls otherwise than the convention does: providers, and kinds of a model that does not name its."""

_WHOLE: Final = ("invoke", "ainvoke", "generate", "agenerate")
_STREAMED: Final = ("stream", "astream")
_ASKED: Final = object()
"""The state of a call of a text model that was not answered from langchain's cache."""


def targets(_: Settings) -> Iterable[LibraryTarget]:
    """Say what is measured."""
    for module, owner, operation, result in (
        ("chat_models", "BaseChatModel", "chat", _result),
        ("llms", "BaseLLM", "text_completion", _result_of_text),
    ):
        where = f"langchain_core.language_models.{module}"
        options = Options(operation=operation, kind="client", model=_model)
        hooks = Hooks(
            family="langchain",  # these call each other
            describe=_describe,
            item=_kind_of_chunk,
            result=result,
            keeps_inside=True,
        )
        yield LibraryTarget(where, owner, _WHOLE, options, hooks, below=True)
        streams = replace(hooks, only=_streams_of(where, owner))
        yield LibraryTarget(where, owner, _STREAMED, options, streams, below=True)
    helpers = ("_generate_helper", "_agenerate_helper")
    yield LibraryTarget(where, owner, helpers, options, Hooks(family="langchain", only=_note_asked))


def _streams_of(module: str, owner: str) -> Callable[[Any, tuple[Any, ...]], bool]:
    """Return what says whether a model streams by itself. One that does not is invoked, and measured there."""

    def streams(model: Any, _: tuple[Any, ...]) -> bool:
        cls, base = type(model), getattr(sys.modules[module], owner)

        def inherits(*names: str) -> bool:
            return all(getattr(cls, name) is getattr(base, name) for name in names)

        disabled = getattr(model, "disable_streaming", False) is True
        return not (inherits("stream", "astream") and (disabled or inherits("_stream", "_astream")))

    return streams


def _note_asked(model: Any, _: tuple[Any, ...]) -> bool:
    """Note on the call under way that its model is asked, which is all that is done here: it is no call of its own."""
    call = call_in(otel.get_current())
    if call is not None and call.instance is model:
        call.state = _ASKED
    return False


def _model(model: Any) -> str | None:
    for name in ("model_name", "model", "model_id"):
        if isinstance(found := getattr(model, name, None), str) and found:
            return found
    return None


def _describe(model: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    provider: Any = model._get_ls_params().get("ls_provider") if hasattr(model, "_get_ls_params") else None
    if (kind := getattr(model, "_llm_type", None)) in _PROVIDERS:
        provider = kind
    given = {name: getattr(model, name, None) for name in ("temperature", "max_tokens", "top_p", "top_k", "seed", "n")}
    return {"provider": _PROVIDERS.get(provider, provider), "parameters": parameters({**given, **asked})}


def _result(call: MeasuredCall, answer: Any) -> None:
    if (observation := call.observation) is None:
        return
    messages = _messages(answer)
    if messages and all(_is_from_cache(message) for message in messages):
        call.give_way(CACHED)
    elif isinstance(output := getattr(answer, "llm_output", None), Mapping):
        read_usage(output, observation)
    else:
        _take(answer, observation)
    _take_inside(call.inside, observation)


def _result_of_text(call: MeasuredCall, answer: Any) -> None:
    """Take what a text model answered. From langchain's cache it came where there is one, and no model was asked."""
    if _has_cache(call.instance) and call.state is not _ASKED and not call.inside:
        call.give_way(CACHED)
    else:
        _result(call, answer)


def _has_cache(model: Any) -> bool:
    own = getattr(model, "cache", None)
    return bool(own is not False and (own or sys.modules["langchain_core.globals"].get_llm_cache()))


def _messages(answer: Any) -> list[Any]:
    """Return the messages of an answer: of `invoke` it is one, of `generate` it has them in lists."""
    if (generations := getattr(answer, "generations", None)) is None:
        return [answer]
    return [getattr(one, "message", None) for many in generations for one in many]


def _is_from_cache(message: Any) -> bool:
    """Return whether langchain's own cache gave a message: it marks them by a cost of nothing."""
    return (getattr(message, "usage_metadata", None) or {}).get("total_cost") == 0


def _take_inside(records: Sequence[StreamRecord], observation: StreamObservation) -> None:
    """Take what the calls below were billed, where all of them say so.

    langchain adds up what the chunks of a stream say of usage, also where each says all there is so far.
    """
    if not records or any(record.token_source != "provider" for record in records):
        return
    sums = {
        count: sum(known)
        for count in ("input", "output", "cached", "cache_written", "reasoning")
        if (known := [n for record in records if (n := getattr(record, f"{count}_tokens")) is not None])
    }
    observation.usage(**sums)


def _kind_of_chunk(chunk: Any, observation: StreamObservation) -> int:
    if isinstance(chunk, str):
        return TEXT if chunk else PADDING
    _take(chunk, observation)
    content = getattr(chunk, "content", None)
    if isinstance(content, str) and content:
        return TEXT
    if isinstance(content, list) and (kind := _kind_of_blocks(content)):
        return kind
    if getattr(chunk, "tool_call_chunks", None):
        return TOOL
    if member(getattr(chunk, "additional_kwargs", None) or {}, "reasoning_content"):
        return REASONING
    return OTHER if getattr(chunk, "usage_metadata", None) else PADDING


def _kind_of_blocks(blocks: list[Any]) -> int:
    if any(_has(block, "text") for block in blocks):
        return TEXT
    return REASONING if any(_has(block, "thinking", "reasoning") for block in blocks) else PADDING


def _has(block: Any, *names: str) -> bool:
    return bool(block) if isinstance(block, str) else any(member(block, name) for name in names)


def _take(message: Any, observation: StreamObservation) -> None:
    """Take what a message says about itself. Chunks of a stream say it in parts, and 0 for what they do not know."""
    said = getattr(message, "response_metadata", None) or {}
    bill = getattr(message, "usage_metadata", None) or {}
    if said and not bill:
        read_usage(said, observation)  # where older models leave it
    observation.usage(
        input=bill.get("input_tokens") or None,
        output=bill.get("output_tokens") or None,
        cached=member(bill.get("input_token_details") or {}, "cache_read"),
        cache_written=member(bill.get("input_token_details") or {}, "cache_creation"),
        reasoning=member(bill.get("output_token_details") or {}, "reasoning"),
    )
    for field, value in (
        ("response_id", getattr(message, "id", None)),
        ("response_model", said.get("model_name") or said.get("model")),
    ):
        if isinstance(value, str) and value:
            observation.set(**{field: value})
    if reason := said.get("finish_reason") or said.get("stop_reason") or said.get("done_reason"):
        observation.set(finish_reasons=(reason,))
