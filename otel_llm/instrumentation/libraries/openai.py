"""The `openai` library: chat completions, completions and responses, of OpenAI and of whoever speaks its protocol.

`.stream()` and the raw and streaming responses all end in `create`, so that is what is measured; `.parse` does not.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries import stainless
from otel_llm.instrumentation.libraries.adapter import Settings, Target
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


def targets(settings: Settings) -> Iterable[Target]:
    """Say what is measured."""
    prepare = stainless.sends_headers(settings)

    def options(operation: str, **hooks: Any) -> Options:
        return Options(
            operation=operation,
            kind="client",
            describe=_describe,
            prepare=prepare,
            wrap=stainless.raw_response,
            leaf=True,
            source=stainless.passed_on,
            **hooks,
        )

    chat = options("chat", text=_has_text)
    responses = options("chat", item=kind_of_event, result=lambda call, answer: of_response(answer, call.observation))
    for prefix in ("", "Async"):
        yield Target(f"{_RESOURCES}.chat.completions.completions", f"{prefix}Completions", ("create", "parse"), chat)
        yield Target(f"{_RESOURCES}.responses.responses", f"{prefix}Responses", ("create", "parse"), responses)
        yield Target(f"{_RESOURCES}.completions", f"{prefix}Completions", ("create",), options("text_completion"))


_RESOURCES: Final = "openai.resources"


def _describe(resource: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    server = stainless.server_of(resource)
    host = server.get("server_address", "")
    provider = next((name for end, name in _PROVIDERS.items() if host == end or host.endswith("." + end)), "openai")
    return {"provider": provider, "parameters": parameters(asked), **server}


def _has_text(chunk: Any) -> bool:
    """Return whether a chunk is one choice with text, as nearly every one is. The last of them says why it ended."""
    choices = chunk.choices
    return len(choices) == 1 and bool(choices[0].delta.content)
