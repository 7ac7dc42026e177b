"""A server that plays a script of bytes and pauses, valid HTTP or not.

with ScriptedServer([b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhe", 0.01, b"llo"], [RESET]) as server:
    ask(server.url)                  # hello, with a pause of 10 ms in it
    ask(server.url)                  # ConnectionResetError, as are all that follow
    server.requests[0].body

A script belongs to one request; the last one serves all that follow. When it is over the connection waits for its next
request, as HTTP/1.1 does; CLOSE says otherwise.
"""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Self

import httptools

from otel_llm.clock import now_ns
from otel_llm.wire.openai_json import VERSIONS

__all__ = ["CLOSE", "RESET", "STALL", "ScriptedServer", "SeenRequest", "Step"]


class _Move(Enum):
    CLOSE = "close"
    RESET = "reset"
    STALL = "stall"


CLOSE: Final = _Move.CLOSE  # end the connection in order
RESET: Final = _Move.RESET  # break it: the client gets an RST
STALL: Final = _Move.STALL  # send nothing more until the client goes away or the server ends

_VERSIONS: Final = frozenset(address for address, _ in VERSIONS)
_NOT_FOUND: Final = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

Step = bytes | float | _Move
"""Bytes to send in one call, seconds to pause, or one of CLOSE, RESET, STALL."""


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request as it arrived.

    headers:    by lower-case name; values of a repeated header are joined with a comma
    connection: which connection it came on, from 0
    seen_ns:    when it was complete, in ns of `otel_llm.clock.now_ns`
    """

    method: str
    path: str
    version: str
    headers: dict[str, str]
    body: bytes
    connection: int
    seen_ns: int


class _Reader:
    """Puts the requests of one connection together."""

    def __init__(self, connection: int) -> None:
        self.complete: list[SeenRequest] = []
        self._connection = connection
        self._parser = httptools.HttpRequestParser(self)

    def feed(self, data: bytes) -> None:
        with contextlib.suppress(httptools.HttpParserUpgrade):
            self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url, self._body = b"", b""
        self._headers: dict[str, str] = {}

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        parser = self._parser
        method, version = parser.get_method().decode("latin-1"), parser.get_http_version()
        path = self._url.decode("latin-1")
        self.complete.append(SeenRequest(method, path, version, self._headers, self._body, self._connection, now_ns()))


class ScriptedServer:
    """Listens on loopback inside a `with` block, and leaves no thread and no socket behind.

    requests: those that arrived, in order; but for those that ask for the server's version, as runs do at their start:
              these get 404, and no script
    sent_ns:  when each piece of bytes was handed to the kernel, in order, in ns of `otel_llm.clock.now_ns`
    tls:      a server-side context; `url` then begins with https
    """

    def __init__(self, *scripts: Sequence[Step], tls: ssl.SSLContext | None = None) -> None:
        if not scripts or any(isinstance(script, (bytes, str)) for script in scripts):
            raise ValueError(f"expected one or more scripts, each a list of steps, got {scripts!r}")
        self._scripts, self._tls = scripts, tls
        self.requests: list[SeenRequest] = []
        self.sent_ns: list[int] = []
        self._lock, self._over = threading.Lock(), threading.Event()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections were accepted so far."""
        return len(self._sockets)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self._accepting.join()
        with self._lock:
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection, len(self._sockets)), daemon=True)
            self._sockets.append(connection)
            self._threads.append(thread)
            thread.start()

    def _serve(self, raw: socket.socket, number: int) -> None:
        connection = raw
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                with self._lock:  # wrapping takes the descriptor from `raw`, which the end would shut down in vain
                    connection = self._tls.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
                    self._sockets[number] = connection
                if self._over.is_set():
                    return
                connection.do_handshake()
            self._converse(connection, number)
        except (OSError, httptools.HttpParserError):
            pass  # the client left, or spoke no HTTP: its test judges that
        finally:
            connection.close()
            raw.close()

    def _converse(self, connection: socket.socket, number: int) -> None:
        reader = _Reader(number)
        while not self._over.is_set():
            data = connection.recv(65536)
            if not data:
                return
            reader.feed(data)
            for request in reader.complete:
                if request.method == "GET" and request.path in _VERSIONS:
                    connection.sendall(_NOT_FOUND)
                elif not self._play(self._script_for(request), connection):
                    return
            reader.complete.clear()

    def _script_for(self, request: SeenRequest) -> Sequence[Step]:
        with self._lock:
            self.requests.append(request)
            return self._scripts[min(len(self.requests), len(self._scripts)) - 1]

    def _play(self, script: Sequence[Step], connection: socket.socket) -> bool:
        """Return whether the connection goes on."""
        for step in script:
            if isinstance(step, bytes):
                self.sent_ns.append(now_ns())
                connection.sendall(step)
            elif isinstance(step, (int, float)):
                if self._over.wait(step):
                    return False
            elif step is STALL:
                while not self._over.is_set() and connection.recv(65536):
                    pass
                return False
            else:
                self._end(connection, reset=step is RESET)
                return False
        return True

    def _end(self, connection: socket.socket, *, reset: bool) -> None:
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif isinstance(connection, ssl.SSLSocket):
            with contextlib.suppress(OSError):
                connection.unwrap()
