"""A server of HTTP/2 by the h2 package that does what a test says: a thread, one connection after another."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded
from h2.exceptions import ProtocolError

__all__ = ["Http2Server", "Saying"]


class Saying:
    """The server's end of a connection, with a request to be answered on `stream`."""

    def __init__(self, sock: socket.socket, h2: H2Connection, stream: int) -> None:
        self._socket, self._h2, self.stream = sock, h2, stream

    def head(self, status: int = 200, **headers: str) -> None:
        self._h2.send_headers(
            self.stream,
            [(":status", str(status)), *((name.replace("_", "-"), value) for name, value in headers.items())],
        )

    def event(self, data: bytes, *, end: bool = False) -> None:
        self._h2.send_data(self.stream, b"data: %b\n\n" % data, end_stream=end)

    def raw(self, frame: bytes) -> None:
        """Send this behind all that was said before."""
        self.send()
        self._socket.sendall(frame)

    def send(self) -> None:
        self._socket.sendall(self._h2.data_to_send())


class Http2Server:
    """Serves until the block ends. `answer` is called with each request; when it returns True the connection closes."""

    def __init__(self, answer: Callable[[Saying], bool | None]) -> None:
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.connections = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listening.accept()
                self.connections += 1
                threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        h2 = H2Connection(H2Configuration(client_side=False))
        h2.initiate_connection()
        with sock, contextlib.suppress(OSError, ProtocolError):  # who asks by HTTP/1.1 is let go
            sock.sendall(h2.data_to_send())
            while data := sock.recv(65536):
                for event in h2.receive_data(data):
                    if isinstance(event, DataReceived):
                        h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, StreamEnded):
                        saying = Saying(sock, h2, event.stream_id)
                        closes = self._answer(saying)
                        saying.send()
                        if closes:
                            return
                sock.sendall(h2.data_to_send())
