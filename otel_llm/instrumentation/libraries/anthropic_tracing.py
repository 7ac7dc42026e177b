"""The spans that anthropic makes itself, from 1.14 on: none for a call that has one of ours already."""

from typing import Any

from opentelemetry import trace

from otel_llm.instrumentation.calls.hooks import MeasuredCall
from otel_llm.instrumentation.libraries.self_tracing import claim, is_claimed_here

__all__ = ["keep_quiet"]


def keep_quiet(call: MeasuredCall) -> None:
    """Have the client of `call` make no span of its own for it."""
    claim(call)
    client: Any = getattr(call.instance, "_client", None)
    tracer = getattr(client, "_tracer", None)
    if isinstance(tracer, trace.Tracer) and type(tracer) is not _Quiet:
        client._lazy_tracer = _Quiet(tracer)


class _Quiet(trace.Tracer):
    """A client's tracer, which makes no span inside of a call that has one."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
        return trace.INVALID_SPAN if is_claimed_here() else self._tracer.start_span(*args, **kwargs)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        return self._tracer.start_as_current_span(*args, **kwargs)
