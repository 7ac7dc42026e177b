"""HTTP to an endpoint: connections that are kept open, and whatever goes wrong with them as a RemoteError."""

import os
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import aiohttp

from otel_llm.clock import now_ns
from otel_llm.errors import RemoteError
from otel_llm.models.background import close_soon

__all__ = ["Transport"]

_AT_ONCE_NS: Final = 1_000_000_000
"""How soon a request on a connection that the server had closed already fails."""

_KINDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (aiohttp.ClientConnectorDNSError, "dns"),
    (aiohttp.ClientSSLError, "tls"),
    (aiohttp.ConnectionTimeoutError, "connect_timeout"),
    (aiohttp.ClientProxyConnectionError, "proxy"),
    (aiohttp.ClientHttpProxyError, "proxy"),
    (aiohttp.ClientConnectorError, "connect"),
    (TimeoutError, "read_timeout"),
    (aiohttp.ClientResponseError, "bad_http"),
    (aiohttp.ClientError, "disconnect"),
)
"""What aiohttp raises, the special before the general, by the kinds that the load generator has for the same."""

_INHERITED: Final[list[aiohttp.ClientSession]] = []
"""Sessions of a parent process, kept as they are: to close them here would be to speak on its connections."""


class Transport:
    """The connections to one endpoint. They are closed with this object; a forked child makes its own.

    timeout: seconds to connect, and between two reads
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._closing: weakref.finalize[..., Any] | None = None
        self._process = os.getpid()

    @asynccontextmanager
    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """Give the response, its head read. Only to be entered on the loop in the background.

        Raises RemoteError for what goes wrong on the way there, and while the body is read inside the block.
        """
        with _as_remote_error():
            async with await self._send(url, body, headers) as response:
                yield response

    async def _send(self, url: str, body: bytes, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        while True:
            session, sent, facts = self._open_session(), now_ns(), dict[str, bool]()
            try:
                return await session.post(
                    url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=facts
                )
            except aiohttp.ClientConnectionError:
                # else the server had closed a connection that was kept, and never saw the request
                if "reused" not in facts or now_ns() - sent > _AT_ONCE_NS:
                    raise

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is not None and self._process != os.getpid():
            _INHERITED.append(self._session)
            if self._closing is not None:
                self._closing.detach()
            self._session = None
        if self._session is None or self._session.closed:
            self._process = os.getpid()
            tracing = aiohttp.TraceConfig()
            tracing.on_connection_reuseconn.append(_note_reuse)
            wait = aiohttp.ClientTimeout(total=None, sock_connect=self.timeout, sock_read=self.timeout)
            self._session = aiohttp.ClientSession(timeout=wait, trust_env=True, trace_configs=[tracing])
            self._closing = weakref.finalize(self, close_soon, self._session.close)
        return self._session


async def _note_reuse(_: aiohttp.ClientSession, context: Any, __: Any) -> None:
    context.trace_request_ctx["reused"] = True


@contextmanager
def _as_remote_error() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError) as error:
        kind = next(kind for raised, kind in _KINDS if isinstance(error, raised))
        what = str(error) or type(error).__name__
        raise RemoteError(kind, "an answer of the endpoint", what, "is it up, and is base_url right?") from error
