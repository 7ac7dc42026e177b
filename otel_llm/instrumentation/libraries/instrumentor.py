"""`LLMInstrumentor`: `instrument()` as OpenTelemetry spells it.

OpenTelemetry finds it under the entry point `otel_llm`, so `opentelemetry-instrument python app.py` is enough.
"""

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from otel_llm.instrumentation.libraries.measuring import is_measuring, measure_libraries, stop_measuring

__all__ = ["LLMInstrumentor"]


class LLMInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # not typed
    """Measures the libraries that adapters know.

    `instrument(include=…, exclude=…, propagate=True)`: names of adapters, by default all that are installed; whether
    W3C trace headers go out with the requests. Raises ConfigError for a name that no adapter has.
    """

    @property
    def _is_instrumented_by_opentelemetry(self) -> bool:
        """Whether it was instrumented, here or by `otel_llm.instrument`."""
        return is_measuring()

    @_is_instrumented_by_opentelemetry.setter
    def _is_instrumented_by_opentelemetry(self, _: bool) -> None:
        """Do nothing: the base class says what it has done, which is known."""

    def instrumentation_dependencies(self) -> Collection[str]:
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        measure_libraries(kwargs.get("include"), kwargs.get("exclude"), kwargs.get("propagate", True))

    def _uninstrument(self, **kwargs: Any) -> None:
        stop_measuring()
