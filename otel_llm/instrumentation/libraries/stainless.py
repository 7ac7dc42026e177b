"""What the libraries share that Stainless generates (openai, anthropic, groq): clients, raw responses, chunks."""

from collections.abc import Callable, Mapping
from typing import Any

from otel_llm.instrumentation.calls.hooks import Arguments, MeasuredCall
from otel_llm.instrumentation.libraries.adapter import Settings
from otel_llm.instrumentation.libraries.propagation import with_headers
from otel_llm.instrumentation.libraries.read_body import ReadBody
from otel_llm.instrumentation.libraries.request import server_in
from otel_llm.instrumentation.streams.proxy import Looks, is_stream, put

__all__ = ["forwarded_by", "has_text", "raw_response", "sends_headers", "server_of", "url_of"]


def url_of(resource: Any) -> Any:
    """Return the base URL of the client that a resource belongs to, None when it does not say."""
    return getattr(getattr(resource, "_client", None), "base_url", None)


def server_of(resource: Any) -> dict[str, Any]:
    """Return the address and port that a resource's requests go to."""
    return server_in(url_of(resource))


def sends_headers(settings: Settings) -> Callable[..., Arguments] | None:
    """Return what puts the trace headers into `extra_headers`; None when nobody wants them."""
    if not settings.propagate:
        return None

    def prepare(call: MeasuredCall, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
        client = getattr(getattr(call.instance, "_client", None), "_client", None)
        return args, with_headers(call, kwargs, "extra_headers", client)

    return prepare


def has_text(chunk: Any) -> bool:
    """Return whether a chunk is one choice with text, as nearly every one is. The last of them says why it ended."""
    choices = chunk.choices
    return len(choices) == 1 and bool(choices[0].delta.content)


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
    """A response whose body is still to come: it is parsed, or read by the caller himself."""

    __slots__ = ("_self_body",)

    def __init__(self, wrapped: Any, call: MeasuredCall) -> None:
        super().__init__(wrapped, call)
        put(self, "_self_body", ReadBody(call, wrapped.http_response.headers.get("content-type", "")))

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        return _then(self.__wrapped__.parse(*args, **kwargs), self._parsed)

    def _parsed(self, value: Any) -> Any:
        call = self._self_call
        if is_stream(type(value)):
            put(self, "_self_owner", False)  # the stream is what the call hangs on now
            return call.stand_in(value)
        call.returned(value)
        return value

    def read(self, *args: Any, **kwargs: Any) -> Any:
        return _then(self.__wrapped__.read(*args, **kwargs), self._read)

    def text(self, *args: Any, **kwargs: Any) -> Any:
        return _then(self.__wrapped__.text(*args, **kwargs), self._read)

    def json(self, *args: Any, **kwargs: Any) -> Any:
        return _then(self.__wrapped__.json(*args, **kwargs), self._read)

    def _read(self, value: Any) -> Any:
        self._self_body.take_whole(self.__wrapped__.http_response.content)
        return value

    def iter_bytes(self, *args: Any, **kwargs: Any) -> Any:
        return self._pass_on(self.__wrapped__.iter_bytes(*args, **kwargs))

    def iter_text(self, *args: Any, **kwargs: Any) -> Any:
        return self._pass_on(self.__wrapped__.iter_text(*args, **kwargs))

    def iter_lines(self, *args: Any, **kwargs: Any) -> Any:
        return self._pass_on(self.__wrapped__.iter_lines(*args, **kwargs), b"\n")

    def _pass_on(self, pieces: Any, end: bytes = b"") -> Any:
        body = self._self_body
        return body.pass_on_later(pieces, end) if hasattr(pieces, "__anext__") else body.pass_on(pieces, end)

    def close(self) -> Any:
        """Close the response, which ends the call where nothing has."""
        return _then(self.__wrapped__.close(), self._closed)

    def _closed(self, done: Any) -> Any:
        if self._self_owner:
            self._self_body.close()
        return done


def _then(result: Any, step: Callable[[Any], Any]) -> Any:
    """Return what `step` makes of a result, or a coroutine of it where the result is to be awaited."""
    return _later(result, step) if hasattr(result, "__await__") else step(result)


async def _later(result: Any, step: Callable[[Any], Any]) -> Any:
    return step(await result)
