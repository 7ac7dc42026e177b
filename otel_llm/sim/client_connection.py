"""One client's connection: parses its requests with httptools, and writes the answers straight to the socket.

A transport of asyncio may queue bytes until the end of the loop's turn. Here `send` calls the kernel itself, so that
the time of a write is known.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, Protocol, cast

import httptools

from otel_llm.clock import now_ns
from otel_llm.sim.formats.format import Format
from otel_llm.sim.writes import error_body, plain_reply

__all__ = ["ClientConnection", "Request", "Session"]

_DIRECT: Final = os.name == "posix"  # elsewhere a socket is no file that can be written to


class Session(Protocol):
    """What is spoken on a connection instead of HTTP, once it was upgraded.

    stop: to be called where a message wants no more of the answer; returns whether there is one
    """

    stop: Callable[[], bool]

    @property
    def spoken(self) -> type[Format]:
        """The format of its requests."""
        ...

    def feed(self, data: bytes) -> Iterable[bytes]:
        """Return the bodies of the requests that these bytes complete."""
        ...

    def outgoing(self) -> bytes:
        """Return what is to be sent at once."""
        ...

    def refused(self, message: str, kind: str, status: int) -> bytes:
        """Return what is said of a request that cannot be used."""
        ...

    @property
    def over(self) -> bool:
        """Whether the client has said goodbye."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `headers` have lower-case names; `recv` is when the read that completed it arrived, in ns."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    recv: int
    keep_alive: bool
    chunked: bool  # whether the answer may be sent in HTTP chunks


class ClientConnection(asyncio.Protocol):
    """Calls `answer(connection, request)` for one request at a time; for the next one after `finished()`.

    on_lost: set by the code that answers; called when the client leaves before the answer ends
    on_stop: set by the code that answers; called when the client wants no more of the answer
    """

    def __init__(
        self, answer: "Callable[[ClientConnection, Request], None]", everyone: "set[ClientConnection]"
    ) -> None:
        self._answer, self._everyone = answer, everyone
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._busy = self._queued = False
        self._arrived = 0
        self.session: Session | None = None
        self._upgraded: Request | None = None
        self._fd = -1
        self.lost, self.gone = False, asyncio.Event()
        self.remote = ""
        self.on_lost: Callable[[], None] | None = None
        self.on_stop: Callable[[], None] | None = None

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._everyone.add(self)
        if _DIRECT:
            self._fd = transport.get_extra_info("socket").fileno()
        peer = transport.get_extra_info("peername")
        self.remote = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else str(peer or "")

    def data_received(self, data: bytes) -> None:
        self._arrived = now_ns()
        if self.session is not None:
            self._converse(self.session, data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the request before it is answered; what follows at once in another protocol is not read
        except httptools.HttpParserError as error:
            self.send(plain_reply(error_body(f"no HTTP: {error}", "bad_request", 400), "", status=400, close=True))
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fd, self.lost = -1, True
        self._everyone.discard(self)
        self.gone.set()
        self._waiting.clear()
        if self.on_lost is not None:
            self.on_lost()

    # httptools' side

    def on_message_begin(self) -> None:
        self._target, self._body = b"", b""
        self._headers: dict[str, str] = {}

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        parser = self._parser
        self._waiting.append(
            Request(
                method=parser.get_method().decode("latin-1"),
                target=self._target.decode("latin-1"),
                headers=self._headers,
                body=self._body,
                recv=self._arrived,
                keep_alive=parser.should_keep_alive(),
                chunked=parser.get_http_version() != "1.0",
            )
        )
        self._next()

    # after an upgrade

    def upgrade(self, request: Request, session: Session, reply: bytes) -> None:
        """Answer a request with `reply`, and take what follows as messages of a session.

        Each is a request with the headers of the one that asked for the upgrade.
        """
        headers = {name: value for name, value in request.headers.items() if name != "x-request-id"}
        session.stop = self.stop
        self.session, self._upgraded = session, replace(request, headers=headers, keep_alive=True)
        self.send(reply + session.outgoing())
        self.finished(keep_alive=True)

    def _converse(self, session: Session, data: bytes) -> None:
        assert self._upgraded is not None  # noqa: S101  # with the session
        for body in session.feed(data):
            self._waiting.append(replace(self._upgraded, body=body, recv=self._arrived))
        if outgoing := session.outgoing():
            self.send(outgoing)
        if session.over:
            self._transport.close()
        self._next()

    def stop(self) -> bool:
        """Have the answer stopped; return whether there is one."""
        if self.on_stop is None:
            return False
        self.on_stop()
        return True

    # the answer's side

    def _next(self) -> None:
        if self._waiting and not self._busy:
            self._busy = True
            self._answer(self, self._waiting.popleft())

    def send(self, data: bytes) -> None:
        """Write `data` now. What the kernel does not take at once is sent later, and until then `blocked` is true."""
        sent = 0
        if self._fd >= 0 and not self._queued:
            try:
                sent = os.write(self._fd, data)
            except BlockingIOError:
                pass
            except OSError:
                self.cut()
                return
        if sent < len(data) and not self.lost:
            self._queued = True
            self._transport.write(data[sent:] if sent else data)

    def blocked(self) -> bool:
        """Return whether bytes of an earlier `send` still wait for the client to read."""
        if self._queued and self._transport.get_write_buffer_size() == 0:
            self._queued = False
        return self._queued

    def finished(self, *, keep_alive: bool) -> None:
        """End the answer: begin with the next request, or close the connection where it is not kept alive."""
        self.on_lost = self.on_stop = None
        self._busy = False
        if self.lost:
            return
        if keep_alive:
            self._next()
        else:
            self._transport.close()

    def cut(self) -> None:
        """Close the connection at once, also in the middle of an answer."""
        self._fd = -1  # the number may be another file's as soon as the transport has let go of it
        self._transport.abort()
