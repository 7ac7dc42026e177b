"""What the libraries share that Stainless generates (openai, anthropic, and others): clients, raw responses."""

from collections.abc import Mapping
from typing import Any

from otel_llm.instrumentation.calls.hooks import Arguments, MeasuredCall
from otel_llm.instrumentation.libraries.adapter import Settings
from otel_llm.instrumentation.libraries.propagation import with_headers
from otel_llm.instrumentation.libraries.request import server_in
from otel_llm.instrumentation.streams.proxy import Looks, is_stream, put

__all__ = ["forwarded_by", "raw_response", "sends_headers", "server_of", "url_of"]


def url_of(resource: Any) -> Any:
    """Return the base URL of the client that a resource belongs to, None when it does not say."""
    return getattr(getattr(resource, "_client", None), "base_url", None)


def server_of(resource: Any) -> dict[str, Any]:
    """Return the address and port that a resource's requests go to."""
    return server_in(url_of(resource))


def sends_headers(settings: Settings) -> Any:
    """Return what puts the trace headers into `extra_headers`; None when nobody wants them."""
    if not settings.propagate:
        return None

    def prepare(call: MeasuredCall, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
        client = getattr(getattr(call.instance, "_client", None), "_client", None)
        return args, with_headers(call, kwargs, "extra_headers", client)

    return prepare


def forwarded_by(stream: Any) -> Any:
    """Return the generator whose items a stream of these libraries forwards; None of a class that does otherwise."""
    kind = type(stream)
    own = getattr(kind, "__aiter__", None) or getattr(kind, "__iter__", None)
    return getattr(stream, "_iterator", None) if str(getattr(own, "__module__", "")).endswith("._streaming") else None


def raw_response(call: MeasuredCall, result: Any) -> Any:
    """Return what stands for a raw response, whose content is only there once it is parsed; None for other results.

    litellm and langchain call `with_raw_response.create`, so this is how most of their answers come.
    """
    http = getattr(result, "http_response", None)
    if http is None or not hasattr(result, "parse"):
        return None
    if http.is_closed:  # read to its end; what `parse` returns is kept there, so it costs the caller nothing twice
        call.returned(result.parse())
        return result
    return _Raw(result, call)


class _Raw(Looks):
    """A response whose body is still to come."""

    __slots__ = ()

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        parsed = self.__wrapped__.parse(*args, **kwargs)
        return self._later(parsed) if hasattr(parsed, "__await__") else self._parsed(parsed)

    async def _later(self, parsed: Any) -> Any:
        return self._parsed(await parsed)

    def _parsed(self, value: Any) -> Any:
        call = self._self_call
        if is_stream(type(value)):
            put(self, "_self_owner", False)  # the stream is what the call hangs on now
            return call.stand_in(value)
        call.returned(value)
        return value

    def close(self) -> Any:
        """Close the response; one that was read without being parsed is complete."""
        return self._closed(self.__wrapped__.close())

    def _closed(self, done: Any) -> Any:
        if hasattr(done, "__await__"):
            return self._awaited(done)
        if self._self_owner:
            self._self_call.end()
        return done

    async def _awaited(self, done: Any) -> Any:
        result = await done
        self._closed(None)
        return result
