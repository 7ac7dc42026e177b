"""Two real models on `BaseLLM`: one in this process, one behind an endpoint. Neither is loaded before it is used."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otel_llm.models.huggingface import HuggingFaceLLM
    from otel_llm.models.openai_compatible import OpenAICompatibleLLM

__all__ = ["HuggingFaceLLM", "OpenAICompatibleLLM"]


def __getattr__(name: str) -> Any:
    if name == "HuggingFaceLLM":
        from otel_llm.models.huggingface import HuggingFaceLLM

        return HuggingFaceLLM
    if name == "OpenAICompatibleLLM":
        from otel_llm.models.openai_compatible import OpenAICompatibleLLM

        return OpenAICompatibleLLM
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
