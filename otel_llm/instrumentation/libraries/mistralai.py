"""The `mistralai` library: chat, agents, conversations, completion of code in the middle, and embeddings.

`parse` and `parse_stream` end in `complete` and `stream`, so these are what is measured.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from otel_llm import conventions as names
from otel_llm.instrumentation.calls.answers import kind_of, member
from otel_llm.instrumentation.calls.hooks import Arguments, Hooks, MeasuredCall
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries import mistralai_conversations as conversations
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings
from otel_llm.instrumentation.libraries.mistralai_tracing import keep_quiet
from otel_llm.instrumentation.libraries.propagation import with_headers
from otel_llm.instrumentation.libraries.request import parameters, server_in_text
from otel_llm.observation import StreamObservation
from otel_llm.record import TEXT

__all__ = ["targets"]

_CHAT = ("complete", "complete_async", "stream", "stream_async")
_TURNS = tuple(
    begun + how for begun in ("start", "append", "restart") for how in ("", "_async", "_stream", "_stream_async")
)
_PACKAGES = ("mistralai.client", "mistralai")
"""Where the classes are: from 2.0 on, and before."""


def targets(settings: Settings) -> Iterable[LibraryTarget]:
    """Say what is measured."""

    def prepare(call: MeasuredCall, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
        keep_quiet(call)
        if not settings.propagate:
            return args, kwargs
        config = getattr(call.instance, "sdk_configuration", None)
        client = getattr(config, "client", None)
        return args, with_headers(call, kwargs, "http_headers", client)

    hooks = Hooks(describe=_describe, prepare=prepare, item=_kind_of_event, leaf=True)
    turns = replace(hooks, item=conversations.kind_of_event, result=conversations.result)
    for package in _PACKAGES:
        for module, owner, functions, operation, read in (
            ("chat", "Chat", _CHAT, "chat", hooks),
            ("agents", "Agents", _CHAT, "chat", hooks),
            ("conversations", "Conversations", _TURNS, "chat", turns),
            ("fim", "Fim", _CHAT, "text_completion", hooks),
            ("embeddings", "Embeddings", ("create", "create_async"), names.EMBEDDINGS, replace(hooks, result=_vectors)),
        ):
            options = Options(operation=operation, kind="client")
            yield LibraryTarget(f"{package}.{module}", owner, functions, options, read)


def _describe(resource: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    details = getattr(getattr(resource, "sdk_configuration", None), "get_server_details", None)
    url = asked.get("server_url") or (details()[0] if details is not None else None)
    given = {**asked, "seed": asked.get("random_seed")}
    agent = asked.get("agent_id")
    attributes = {"attributes": {names.AGENT_ID: agent}} if isinstance(agent, str) else {}
    return {"provider": "mistral_ai", "parameters": parameters(given), **attributes, **server_in_text(url)}


def _kind_of_event(event: Any, observation: StreamObservation) -> int:
    chunk = event.data
    kind = kind_of(chunk, observation)
    if kind == TEXT and chunk.choices and isinstance(parts := member(chunk.choices[0].delta, "content"), list):
        return conversations.kind_of_content(parts)
    return kind


def _vectors(call: MeasuredCall, answer: Any) -> None:
    """Take the tokens of what was embedded. Its usage says 0 of an output, which there is none of."""
    if call.observation is not None:
        call.observation.set(response_model=answer.model, response_id=answer.id)
        call.observation.usage(input=answer.usage.prompt_tokens)
