"""The `litellm` library: its functions, sync, async and streamed, whichever provider they go to.

Most of them end in another library, `openai` for example, which is measured too: a span inside this one, counted once.
That one sends the trace headers. Nothing is added here to what litellm is told: it may be part of a cache's key.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from otel_llm.instrumentation.calls.answers import read_usage
from otel_llm.instrumentation.calls.hooks import Hooks, MeasuredCall
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries import litellm_openai
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings
from otel_llm.instrumentation.libraries.openai_events import kind_of_event, of_response
from otel_llm.instrumentation.libraries.request import parameters, server_in_text

__all__ = ["targets"]

_FAMILY: Final = "litellm"
_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "cohere_chat": "cohere",
    "custom_openai": "openai",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "text-completion-openai": "openai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""What litellm calls otherwise than the convention does."""


def targets(settings: Settings) -> Iterable[LibraryTarget]:
    """Say what is measured. A `Router` calls these functions, once for each of its attempts."""
    for operation, names, readers in (
        ("chat", ("completion", "acompletion"), {"result": _result}),
        ("text_completion", ("text_completion", "atext_completion"), {"result": _result}),
        ("chat", ("responses", "aresponses"), {"result": _response, "item": kind_of_event}),
        ("embeddings", ("embedding", "aembedding"), {"result": _result}),
    ):
        hooks = Hooks(family=_FAMILY, describe=_describe, **readers)  # these call each other
        yield LibraryTarget("litellm", "", names, Options(operation=operation, kind="client"), hooks, early=True)
    yield from litellm_openai.targets(settings, _FAMILY)


def _describe(_: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in asked.items() if value is not None}
    server = server_in_text(given.get("api_base") or given.get("base_url"))
    return {"provider": _provider(given), "parameters": parameters(given), **server}


def _provider(given: Mapping[str, Any]) -> str | None:
    """Return who is asked: as it was said, in the argument or before the model's name, or as litellm's list has it."""
    library, model, name = sys.modules["litellm"], given.get("model"), given.get("custom_llm_provider")
    if name is None and isinstance(model, str):
        first, slash, _ = model.partition("/")
        name = first if slash and first in library.provider_list else None
        if name is None and (known := library.model_cost.get(model)):
            name = known.get("litellm_provider")
    if not isinstance(name, str):
        return None
    name = "vertex_ai" if name.startswith("vertex_ai") else str(getattr(name, "value", name))
    return _PROVIDERS.get(name, name)


def _result(call: MeasuredCall, answer: Any) -> None:
    if call.observation is not None:
        read_usage(answer, call.observation)


def _response(call: MeasuredCall, answer: Any) -> None:
    if call.observation is not None:
        of_response(answer, call.observation)
