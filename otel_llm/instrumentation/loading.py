"""Loading what measuring needs before a call is measured, so that no call pays for it; and naming the default sink."""

from otel_llm.instrumentation.calls.destination import DESTINATION
from otel_llm.instrumentation.calls.in_flight import tell_unfinished
from otel_llm.instrumentation.calls.isolation import guarded
from otel_llm.process.ending import ENDING

__all__ = ["load_telemetry"]


def load_telemetry() -> None:
    """Load numpy and OpenTelemetry's SDK, and let calls go to its global providers where nothing else is said.

    What a process does once is done here, on a call that is made up and goes nowhere. What the global providers have
    to make is made when the first call is about to begin: they may be set after this, and after a fork.
    """
    if DESTINATION.make_sink is None:
        guarded("import", _load)


def _load() -> None:
    from otel_llm.instrumentation.rehearsal import rehearse
    from otel_llm.sinks.otel import OTelSink

    guarded("rehearsal", rehearse, OTelSink)
    ENDING.tell = tell_unfinished
    DESTINATION.make_sink = OTelSink.prepared
