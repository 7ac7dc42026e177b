"""How fast are the first token and every token after it, really.

Put `@otel_llm.metrics` on whatever calls a model, or subclass `otel_llm.BaseLLM`. Importing this loads neither an
exporter nor a model library; it opens no connection and prints nothing.
"""

from typing import TYPE_CHECKING, Any

from otel_llm.generation import GenerationMetrics
from otel_llm.instrument.by_hand import observe
from otel_llm.instrument.context import bind_context, current, last_metrics
from otel_llm.instrument.decorator import metrics

if TYPE_CHECKING:
    from otel_llm import models
    from otel_llm.instrument.base_llm import BaseLLM
    from otel_llm.providers import configure

__all__ = [
    "BaseLLM",
    "GenerationMetrics",
    "bind_context",
    "configure",
    "current",
    "last_metrics",
    "metrics",
    "metrics_decorator",
    "models",
    "observe",
]

metrics_decorator = metrics

_LATER = {
    "BaseLLM": ("otel_llm.instrument.base_llm", "BaseLLM"),
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
