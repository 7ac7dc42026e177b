"""The `huggingface_hub` library: what `InferenceClient` asks of a language model, sync and async.

It takes no headers for a request, so it sends no trace headers.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from otel_llm.instrumentation.calls.answers import member
from otel_llm.instrumentation.calls.hooks import Hooks, MeasuredCall
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings
from otel_llm.instrumentation.libraries.request import parameters, server_in_text
from otel_llm.observation import StreamObservation
from otel_llm.record import PADDING, TEXT

__all__ = ["targets"]

_CLIENTS = (("_client", "InferenceClient"), ("_generated._async_client", "AsyncInferenceClient"))
_ITS_OWN = (None, "auto", "hf-inference")
"""What the client calls its provider where that is Hugging Face, or chosen by it."""


def targets(_: Settings) -> Iterable[LibraryTarget]:
    """Say what is measured."""
    for name, operation, hooks in (
        ("chat_completion", "chat", Hooks(describe=_describe, leaf=True)),
        (
            "text_generation",
            "text_completion",
            Hooks(describe=_describe, leaf=True, item=_kind_of_token, result=_text_result),
        ),
        ("feature_extraction", "embeddings", Hooks(describe=_describe, result=_vectors)),
    ):
        options = Options(operation=operation, kind="client")
        for module, owner in _CLIENTS:
            yield LibraryTarget(f"huggingface_hub.inference.{module}", owner, (name,), options, hooks)


def _describe(client: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    given, own = asked.get("model"), getattr(client, "model", None)
    names = [name for name in (given, own) if isinstance(name, str) and name]
    provider = getattr(client, "provider", None)
    return {
        "provider": "huggingface" if provider in _ITS_OWN else provider,
        "model": next((name for name in names if "://" not in name), None),
        "parameters": parameters(asked),
        **server_in_text(next((name for name in names if "://" in name), None)),
    }


def _kind_of_token(item: Any, observation: StreamObservation) -> int:
    """Return the kind of one token: its text, or with details what it is and, of the last, how many there were."""
    if isinstance(item, str):
        return TEXT if item else PADDING
    _take(member(item, "details"), observation)
    token = member(item, "token")
    return TEXT if member(token, "text") and not member(token, "special") else PADDING


def _text_result(call: MeasuredCall, answer: Any) -> None:
    if call.observation is not None and not isinstance(answer, str):
        _take(member(answer, "details"), call.observation)


def _take(details: Any, observation: StreamObservation) -> None:
    if details is None:
        return
    observation.usage(input=member(details, "input_length"), output=member(details, "generated_tokens"))
    if isinstance(reason := member(details, "finish_reason"), str):
        observation.set(finish_reasons=(reason,))


def _vectors(call: MeasuredCall, answer: Any) -> None:
    """Take nothing: the numbers of an embedding are no tokens."""
