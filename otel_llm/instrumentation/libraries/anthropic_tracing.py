"""The spans that anthropic makes itself, from 1.14 on: none for a call that has one of ours already.

Both would have the same usage, and whoever sums it over spans would count each call twice; and its own span sends trace
headers whatever we were told. Calls that are not measured here keep the spans that anthropic gives them.
"""

from typing import Any, Final

from opentelemetry import context as otel
from opentelemetry import trace

from otel_llm.instrumentation.calls.call import call_in
from otel_llm.instrumentation.calls.hooks import MeasuredCall

__all__ = ["keep_quiet"]

_OURS: Final = object()
"""The state of a call that anthropic need not trace."""


def keep_quiet(call: MeasuredCall) -> None:
    """Have the client of `call` make no span of its own for it."""
    call.state = _OURS
    client: Any = getattr(call.instance, "_client", None)
    tracer = getattr(client, "_tracer", None)
    if isinstance(tracer, trace.Tracer) and type(tracer) is not _Quiet:
        client._lazy_tracer = _Quiet(tracer)


class _Quiet(trace.Tracer):
    """A client's tracer, which makes no span inside of a call that has one."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
        call = call_in(otel.get_current())
        if call is not None and call.state is _OURS:
            return trace.INVALID_SPAN
        return self._tracer.start_span(*args, **kwargs)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        return self._tracer.start_as_current_span(*args, **kwargs)
