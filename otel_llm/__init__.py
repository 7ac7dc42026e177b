"""How fast are the first token and every token after it, really.

Put `@otel_llm.metrics` on whatever calls a model, subclass `otel_llm.BaseLLM`, or let `otel_llm.instrument` measure
what exists already. Importing this loads neither an exporter nor a model library; it opens no connection and prints
nothing.
"""

from typing import TYPE_CHECKING, Any

from otel_llm import errors
from otel_llm.loaded_later import loaded_later

if TYPE_CHECKING:
    from otel_llm import models, testing
    from otel_llm.configured import configure
    from otel_llm.generation import GenerationMetrics
    from otel_llm.instrumentation.auto import instrument, uninstrument
    from otel_llm.instrumentation.by_hand import observe
    from otel_llm.instrumentation.calls.current import bind_context, current, last_metrics
    from otel_llm.instrumentation.decorator import metrics
    from otel_llm.instrumentation.decorator import metrics as metrics_decorator
    from otel_llm.instrumentation.libraries.instrumentor import LLMInstrumentor
    from otel_llm.models.base import BaseLLM
    from otel_llm.observation import StreamObservation
    from otel_llm.providers import Providers

    __version__: str

__all__ = [
    "BaseLLM",
    "GenerationMetrics",
    "LLMInstrumentor",
    "Providers",
    "StreamObservation",
    "__version__",
    "bind_context",
    "configure",
    "current",
    "errors",
    "instrument",
    "last_metrics",
    "metrics",
    "metrics_decorator",
    "models",
    "observe",
    "testing",
    "uninstrument",
]

_LATER = {
    "BaseLLM": ("otel_llm.models.base", "BaseLLM"),
    "GenerationMetrics": ("otel_llm.generation", "GenerationMetrics"),
    "LLMInstrumentor": ("otel_llm.instrumentation.libraries.instrumentor", "LLMInstrumentor"),
    "Providers": ("otel_llm.providers", "Providers"),
    "StreamObservation": ("otel_llm.observation", "StreamObservation"),
    "bind_context": ("otel_llm.instrumentation.calls.current", "bind_context"),
    "configure": ("otel_llm.configured", "configure"),
    "current": ("otel_llm.instrumentation.calls.current", "current"),
    "instrument": ("otel_llm.instrumentation.auto", "instrument"),
    "last_metrics": ("otel_llm.instrumentation.calls.current", "last_metrics"),
    "metrics": ("otel_llm.instrumentation.decorator", "metrics"),
    "metrics_decorator": ("otel_llm.instrumentation.decorator", "metrics"),
    "models": ("otel_llm.models", None),
    "observe": ("otel_llm.instrumentation.by_hand", "observe"),
    "testing": ("otel_llm.testing", None),
    "uninstrument": ("otel_llm.instrumentation.auto", "uninstrument"),
}
"""What is loaded when it is first asked for, as not everyone needs it: (module, name in it, None for the module). The
commands, for one, import this package and decorate nothing."""


_load = loaded_later(__name__, _LATER)


def __getattr__(name: str) -> Any:
    """Load what is asked for by name; the next time it is found without us."""
    if name == "__version__":
        from importlib.metadata import version

        return version("otel-llm")
    return _load(name)


def __dir__() -> list[str]:
    return __all__
