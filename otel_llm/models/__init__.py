"""Two real models on `BaseLLM`: one in this process, one behind an endpoint. Neither is loaded before it is used."""

from typing import TYPE_CHECKING

from otel_llm.loaded_later import loaded_later

if TYPE_CHECKING:
    from otel_llm.models.huggingface import HuggingFaceLLM
    from otel_llm.models.openai_compatible import OpenAICompatibleLLM

__all__ = ["HuggingFaceLLM", "OpenAICompatibleLLM"]

__getattr__ = loaded_later(
    __name__,
    {
        "HuggingFaceLLM": ("otel_llm.models.huggingface", "HuggingFaceLLM"),
        "OpenAICompatibleLLM": ("otel_llm.models.openai_compatible", "OpenAICompatibleLLM"),
    },
)
