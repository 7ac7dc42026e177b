"""One exchange with an OpenAI-compatible endpoint over aiohttp: events out, each stamped when its bytes came."""

import weakref
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from otel_llm.errors import RemoteError
from otel_llm.instrumentation.calls.destination import DESTINATION
from otel_llm.models.background import close_soon
from otel_llm.observation import StreamObservation
from otel_llm.record import TEXT
from otel_llm.wire.protocol import Ask, Delta, Protocol
from otel_llm.wire.sse import Sse
from otel_llm_plugins.openai_chat import OpenAIChat

__all__ = ["Endpoint"]


class Endpoint:
    """An URL and how long to wait. Connections are kept open between calls; they are closed with this object.

    timeout: seconds to connect, and between two reads
    """

    def __init__(self, url: str, timeout: float = 120.0) -> None:
        self.url, self._timeout = url, aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout)
        self._session: aiohttp.ClientSession | None = None

    @property
    def address(self) -> tuple[str | None, int | None]:
        """The host and port that the telemetry names."""
        parts = urlsplit(self.url)
        return parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)

    def session(self) -> aiohttp.ClientSession:
        """Return the session. Only to be called on the loop in the background."""
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(timeout=self._timeout, trust_env=True)
            weakref.finalize(self, close_soon, self._session.close)
        return self._session

    async def ask(self, ask: Ask, headers: Mapping[str, str], observation: StreamObservation) -> bytes:
        """Return the body of an answer that is not streamed."""
        async with self._post(ask, headers) as response:
            body: bytes = await response.read()
            _refuse(response, body)
            observation.set(status=response.status)
        answer = OpenAIChat()
        _decode(answer, body)
        observation.take(answer.said)
        return body

    async def stream(self, ask: Ask, headers: Mapping[str, str], observation: StreamObservation) -> AsyncIterator[str]:
        """Yield the text of each event, marked with the moment its bytes arrived."""
        answer, framer, reads = OpenAIChat(), Sse(), 0
        async with self._post(ask, headers) as response:
            if response.status != 200:
                _refuse(response, await response.read())
            observation.set(status=response.status)
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
                observation.take(answer.said)
        if not answer.said.finish_reasons:
            raise RemoteError("no_finish", "an answer with a finish reason", "one that just ended")

    def _post(self, ask: Ask, headers: Mapping[str, str]) -> Any:
        request = OpenAIChat.encode(ask)
        sent = {"Content-Type": "application/json", **request.headers, **headers}
        return self.session().post(self.url, data=request.body, headers=sent, allow_redirects=False)


def _refuse(response: aiohttp.ClientResponse, body: bytes) -> None:
    if response.status != 200:
        said = body[:300].decode(errors="replace")
        raise RemoteError(f"http_{response.status}", f"status 200 from {response.url.path}", said)


def _decode(answer: Protocol, event: bytes) -> Delta | None:
    try:
        delta = answer.decode(event)
    except ValueError as error:
        raise RemoteError("bad_event", "JSON of a chat completion", error) from error
    if answer.said.error is not None:
        raise RemoteError("stream_error", "an answer", ": ".join(answer.said.error))
    return delta
