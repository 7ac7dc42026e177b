"""Loading what measuring needs before a call is measured, so that no call pays for it; and naming the default sink."""

from otel_llm.instrumentation.calls.destination import DESTINATION
from otel_llm.instrumentation.calls.isolation import guarded

__all__ = ["load_telemetry"]


def load_telemetry() -> None:
    """Load numpy and OpenTelemetry's SDK, and let calls go to its global providers where nothing else is said."""
    if DESTINATION.make_sink is None:
        guarded("import", _load)


def _load() -> None:
    from otel_llm.sinks.otel import OTelSink

    DESTINATION.make_sink = OTelSink
