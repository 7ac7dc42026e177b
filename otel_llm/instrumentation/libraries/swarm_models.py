"""The `swarm_models` library: `run` of every class, which each of them writes for itself, and the call of the object.

Nearly all of them are a frame around a library that is measured too: then its call is the one that is counted, with its
first token and its tokens, and `run` is the span around it. A class that speaks to its server itself, such as
`llama3Hosted`, is counted here; of that the duration is all there is to know.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from otel_llm.instrumentation.calls.hooks import Hooks
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings
from otel_llm.instrumentation.libraries.request import parameters, server_in_text

__all__ = ["targets"]

_TREES: Final = (("base_llm", "BaseLLM"), ("base_multimodal_model", "BaseMultiModalModel"))
_CLASSES: Final = (
    ("ai_suite_wrapper", "AISuiteWrapper"),
    ("lite_llm_model", "LiteLLM"),
    ("ollama_model", "OllamaModel"),
    ("together_llm", "TogetherLLM"),
    ("popular_llms", "Anthropic"),
    ("popular_llms", "AzureOpenAILLM"),
    ("popular_llms", "CohereChat"),
    ("popular_llms", "FireWorksAI"),
    ("popular_llms", "MosaicMLChat"),
    ("popular_llms", "OctoAIChat"),
    ("popular_llms", "OpenAIChatLLM"),
    ("popular_llms", "OpenAILLM"),
    ("popular_llms", "ReplicateChat"),
)
"""Those that are of neither tree."""
_PROVIDERS: Final = {
    "Anthropic": "anthropic",
    "AzureOpenAILLM": "azure.ai.openai",
    "CohereChat": "cohere",
    "HuggingfaceLLM": "huggingface",
    "HuggingfacePipeline": "huggingface",
    "OllamaModel": "ollama",
    "OpenAIChatLLM": "openai",
    "OpenAIFunctionCaller": "openai",
    "OpenAILLM": "openai",
}
_NO_TEXT: Final = frozenset(("BaseMultiModalModel", "BaseTTSModel", "BaseTextToVideo", "OpenAITTS"))
_PARAMETERS: Final = ("temperature", "max_tokens", "top_p", "top_k", "seed", "frequency_penalty", "presence_penalty")


def targets(_: Settings) -> Iterable[LibraryTarget]:
    """Say what is measured."""
    options = Options(model=_model)
    hooks = Hooks(family="swarm_models", describe=_describe, gives_way=True, result=_nothing)
    for trees, below in ((_TREES, True), (_CLASSES, False)):
        for module, owner in trees:
            yield LibraryTarget(f"swarm_models.{module}", owner, ("run", "__call__"), options, hooks, below=below)


def _nothing(call: Any, answer: Any) -> None:
    """Take nothing off the answer, which is a text: how many tokens it has is not guessed."""


def _model(model: Any) -> str | None:
    for name in ("model_name", "model_id", "model"):
        if isinstance(found := getattr(model, name, None), str) and found:
            return found
    return None


def _describe(model: Any, _: Mapping[str, Any]) -> dict[str, Any]:
    classes = [cls.__name__ for cls in type(model).__mro__]
    said: dict[str, Any] = {
        "provider": next((_PROVIDERS[name] for name in classes if name in _PROVIDERS), None),
        "parameters": parameters({name: getattr(model, name, None) for name in _PARAMETERS}),
        **server_in_text(getattr(model, "base_url", None)),
    }
    if not _NO_TEXT.isdisjoint(classes):
        said["operation"] = "generate_content"
    if not hasattr(getattr(model, "model", None), "generate"):  # else the model is in this process
        said["kind"] = "client"
    return said
