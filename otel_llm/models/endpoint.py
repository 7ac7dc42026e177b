"""One exchange with an OpenAI-compatible endpoint over aiohttp: events out, each stamped when its bytes came."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import orjson

from otel_llm.errors import ConfigError, RemoteError
from otel_llm.instrumentation.calls.destination import DESTINATION
from otel_llm.models.transport import Transport
from otel_llm.observation import StreamObservation
from otel_llm.record import TEXT
from otel_llm.wire.protocol import Ask, Delta, Protocol
from otel_llm.wire.sse import Sse
from otel_llm.wire.timing_headers import HEADERS, times_of_headers
from otel_llm_plugins.openai_chat import OpenAIChat

__all__ = ["Endpoint"]

_PATH: Final = "/chat/completions"
_JSON: Final = "application/json"
_GOOD: Final = range(200, 300)


class Endpoint:
    """An URL and how long to wait. Connections are kept open between calls; they are closed with this object.

    timeout: seconds to connect, and between two reads

    Raises ConfigError where the URL is none.
    """

    def __init__(self, url: str, timeout: float = 120.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError("a base URL of http or https", url, "such as http://127.0.0.1:8000/v1")
        self.url, self.transport = url, Transport(timeout)

    @classmethod
    def below(cls, base: str, timeout: float) -> Self:
        """Return the endpoint below a base URL, whose query stays: `/v1?api-version=1` has it behind the path."""
        parts = urlsplit(base)
        path = parts.path.rstrip("/").removesuffix(_PATH) + _PATH
        return cls(urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")), timeout)

    @property
    def address(self) -> tuple[str | None, int | None]:
        """The host and port that the telemetry names."""
        parts = urlsplit(self.url)
        return parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)

    async def ask(self, ask: Ask, headers: Mapping[str, str], observation: StreamObservation) -> bytes:
        """Return the body of an answer that is not streamed."""
        async with self._post(ask, headers) as response:
            body: bytes = await response.read()
            _refuse(response, body)
            observation.set(status=response.status)
        answer = OpenAIChat()
        _decode_whole(answer, body)
        _take(answer, response, observation)
        return body

    async def stream(self, ask: Ask, headers: Mapping[str, str], observation: StreamObservation) -> AsyncIterator[str]:
        """Yield the text of each event, marked with the moment its bytes arrived; that of a whole answer at once."""
        async with self._post(ask, headers) as response:
            if response.status not in _GOOD:
                _refuse(response, await response.read())
            observation.set(status=response.status)
            if response.content_type == _JSON:
                yield await _read_whole(response, observation)
                return
            answer, framer, reads = OpenAIChat(), Sse(), 0
            try:
                async for read in response.content.iter_any():
                    at, reads = DESTINATION.clock.now_ns(), reads + 1
                    for event in framer.feed(read):
                        if (delta := _decode(answer, event)) is not None:
                            kind, text, tokens = delta
                            observation.mark_read(
                                at, read=reads, size=len(event), length=len(text), kind=kind, tokens=tokens
                            )
                            if kind == TEXT and text:
                                yield text
                    if answer.done:
                        break
            finally:
                _take(answer, response, observation)
        if not answer.said.finish_reasons:
            raise RemoteError("no_finish", "an answer with a finish reason", "one that just ended")

    def _post(self, ask: Ask, headers: Mapping[str, str]) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        request = OpenAIChat.encode(ask)
        sent = {"Content-Type": _JSON, **request.headers, **headers}
        return self.transport.post(self.url, request.body, sent)


def _refuse(response: aiohttp.ClientResponse, body: bytes) -> None:
    if response.status not in _GOOD:
        said = body[:300].decode(errors="replace")
        raise RemoteError(f"http_{response.status}", f"status 200 from {response.url.path}", said)


def _take(answer: Protocol, response: aiohttp.ClientResponse, observation: StreamObservation) -> None:
    """Take what an answer states about itself, and what its head does."""
    headers = [(name.lower(), value) for name, value in response.raw_headers if name.lower() in HEADERS]
    answer.said.add_times(times_of_headers(headers))
    observation.take(answer.said)


def _decode(answer: Protocol, event: bytes) -> Delta | None:
    try:
        delta = answer.decode(event)
    except ValueError as error:
        raise RemoteError("bad_event", "JSON of a chat completion", error) from error
    if answer.said.error is not None:
        raise RemoteError("stream_error", "an answer", ": ".join(answer.said.error))
    return delta


async def _read_whole(response: aiohttp.ClientResponse, observation: StreamObservation) -> str:
    """Return the text of an answer that is not streamed, although it was asked to be."""
    body, answer = await response.read(), OpenAIChat()
    at = DESTINATION.clock.now_ns()
    try:
        kind, text, tokens = _decode_whole(answer, body)
    finally:
        _take(answer, response, observation)
    observation.mark_read(at, read=1, size=len(body), length=len(text), kind=kind, tokens=tokens)
    return text


def _decode_whole(answer: Protocol, body: bytes) -> Delta:
    """Return what a whole answer brought. Raises RemoteError for one with no choices, however it says why."""
    said = body[:300].decode(errors="replace")
    try:
        members = orjson.loads(body)
        delta = None if not isinstance(members, dict) else _decode(answer, body)
    except ValueError:
        delta = None
    if delta is None:
        raise RemoteError("bad_event", "JSON of a chat completion", said)
    if not members.get("choices"):
        raise RemoteError("no_answer", "an answer with choices", said)
    return delta
