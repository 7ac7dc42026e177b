"""W3C trace headers for the server that is called: `traceparent` and `tracestate`, once, and never baggage.

Headers that the caller set win. Where an instrumentation of the HTTP client is active nothing is added here: it sends
its own span, which is a child of ours.
"""

import sys
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_llm.instrumentation.calls.hooks import MeasuredCall

__all__ = ["headers_of", "http_is_instrumented", "with_headers"]

_W3C: Final = TraceContextTextMapPropagator()
_LIBRARIES: Final = ("httpx", "httpx2")
_TRANSPORTS: Final = ("HTTPTransport", "AsyncHTTPTransport")
_SENDS: Final = ("handle_request", "handle_async_request")


def headers_of(call: MeasuredCall) -> dict[str, str]:
    """Return the headers that make the server's span a child of this call's; none when it has no span."""
    headers: dict[str, str] = {}
    _W3C.inject(headers, call.context)
    return headers


def with_headers(call: MeasuredCall, kwargs: Mapping[str, Any], argument: str, client: Any = None) -> Mapping[str, Any]:
    """Return `kwargs` with the trace headers in the mapping that is passed as `argument`.

    client: the HTTP client that will send it, which may be instrumented by itself
    """
    given = kwargs.get(argument)
    if http_is_instrumented(client) or not (given is None or isinstance(given, Mapping)):
        return kwargs
    if given is not None and any(name.lower() == "traceparent" for name in given):
        return kwargs
    headers = headers_of(call)
    return {**kwargs, argument: {**(given or {}), **headers}} if headers else kwargs


def http_is_instrumented(client: Any = None) -> bool:
    """Return whether somebody has wrapped what this HTTP client sends requests with; without one, what any does."""
    if (own := getattr(client, "_transport", None)) is not None:
        sends = (own, *getattr(client, "_mounts", {}).values())
    else:
        sends = tuple(getattr(sys.modules.get(module), kind, None) for module in _LIBRARIES for kind in _TRANSPORTS)
    return any(_is_wrapped(transport) for transport in sends if transport is not None)


def _is_wrapped(transport: Any) -> bool:
    kind = transport if isinstance(transport, type) else type(transport)
    return kind.__module__.startswith("opentelemetry.") or any(
        hasattr(getattr(transport, name, None), "__wrapped__") for name in _SENDS
    )
