"""The `openai` library: chat completions, completions, responses and embeddings, of all who speak OpenAI's protocol.

`.stream()` and the raw and streaming responses all end in `create`, so that is what is measured; `.parse` does not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from otel_llm.instrumentation.calls.hooks import Hooks, MeasuredCall
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries import openai_socket, stainless
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings
from otel_llm.instrumentation.libraries.openai_events import kind_of_event, of_response
from otel_llm.instrumentation.libraries.request import parameters

__all__ = ["targets"]

_PROVIDERS: Final = {
    "openai.azure.com": "azure.ai.openai",
    "inference.ai.azure.com": "azure.ai.inference",
    "deepseek.com": "deepseek",
    "groq.com": "groq",
    "mistral.ai": "mistral_ai",
    "perplexity.ai": "perplexity",
    "x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
}
"""Whose protocol is OpenAI's, by the end of their host names."""


def targets(settings: Settings) -> Iterable[LibraryTarget]:
    """Say what is measured."""
    common = Hooks(
        describe=_describe,
        prepare=stainless.sends_headers(settings),
        wrap=stainless.raw_response,
        leaf=True,
        inner=stainless.forwarded_by,
    )
    chats = replace(common, has_text=stainless.has_text, answer_in=_answer_in)
    responses = replace(common, item=kind_of_event, result=_result_of_response)
    for module, owner, names, operation, hooks in (
        ("chat.completions.completions", "Completions", ("create", "parse"), "chat", chats),
        ("responses.responses", "Responses", ("create", "parse"), "chat", responses),
        ("completions", "Completions", ("create",), "text_completion", common),
        ("embeddings", "Embeddings", ("create",), "embeddings", common),
    ):
        options = Options(operation=operation, kind="client")
        for prefix in ("", "Async"):
            yield LibraryTarget(f"openai.resources.{module}", prefix + owner, names, options, hooks)
    yield from openai_socket.targets(_provider_of)


def _describe(resource: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    server = stainless.server_of(resource)
    return {"provider": _provider_of(server.get("server_address", "")), "parameters": parameters(asked), **server}


def _provider_of(host: str) -> str:
    return next((name for end, name in _PROVIDERS.items() if host == end or host.endswith("." + end)), "openai")


def _answer_in(error: BaseException) -> Any:
    """Return what `parse` could not parse, as too long or filtered: it was answered, and billed."""
    return getattr(error, "completion", None)


def _result_of_response(call: MeasuredCall, response: Any) -> None:
    if call.observation is not None:
        of_response(response, call.observation)
