"""How fast are the first token and every token after it, really.

Put `@otel_llm.metrics` on whatever calls a model, subclass `otel_llm.BaseLLM`, or let `otel_llm.instrument` measure
what exists already. Importing this loads neither an exporter nor a model library; it opens no connection and prints
nothing.
"""

from typing import TYPE_CHECKING, Any

from otel_llm.generation import GenerationMetrics
from otel_llm.instrumentation.auto import instrument, uninstrument
from otel_llm.instrumentation.by_hand import observe
from otel_llm.instrumentation.calls.current import bind_context, current, last_metrics
from otel_llm.instrumentation.decorator import metrics

if TYPE_CHECKING:
    from otel_llm import models
    from otel_llm.instrumentation.libraries.instrumentor import LLMInstrumentor
    from otel_llm.models.base import BaseLLM
    from otel_llm.providers import configure

__all__ = [
    "BaseLLM",
    "GenerationMetrics",
    "LLMInstrumentor",
    "bind_context",
    "configure",
    "current",
    "instrument",
    "last_metrics",
    "metrics",
    "metrics_decorator",
    "models",
    "observe",
    "uninstrument",
]

metrics_decorator = metrics

_LATER = {
    "BaseLLM": ("otel_llm.models.base", "BaseLLM"),
    "LLMInstrumentor": ("otel_llm.instrumentation.libraries.instrumentor", "LLMInstrumentor"),
    "configure": ("otel_llm.providers", "configure"),
    "models": ("otel_llm.models", None),
}


def __getattr__(name: str) -> Any:
    """Load what is asked for by name and is not needed by everyone."""
    import importlib

    try:
        module, attribute = _LATER[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    found = importlib.import_module(module)
    return found if attribute is None else getattr(found, attribute)
