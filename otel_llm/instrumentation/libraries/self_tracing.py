"""Calls that a library need not trace itself, because they have a span of ours.

Both would have the same usage, and whoever sums it over spans would count each call twice; and a span of the library's
sends trace headers whatever we were told. Calls that are not measured here keep the spans that their library makes.
"""

from typing import Final

from opentelemetry import context as otel

from otel_llm.instrumentation.calls.call import call_in
from otel_llm.instrumentation.calls.hooks import MeasuredCall

__all__ = ["claim", "is_claimed_here"]

_OURS: Final = object()


def claim(call: MeasuredCall) -> None:
    """Let the library of `call` make no span of its own for it."""
    call.state = _OURS


def is_claimed_here() -> bool:
    """Return whether the call under way here was claimed."""
    call = call_in(otel.get_current())
    return call is not None and call.state is _OURS
