"""WebSocket without a socket: bytes in, messages out, by the websockets package.

No compression is offered, as none is asked for by HTTP: the size of an event is what the server wrote.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.protocol import CONNECTING, OPEN
from websockets.uri import parse_uri

from otel_llm.errors import RemoteError
from otel_llm.wire.said import WORDS

__all__ = ["MOST", "WebSocketFrames"]

MOST: Final = 64 << 20
"""Bytes of a message: a longer one ends the connection."""

_DATA: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
_NORMAL: Final = 1000
_QUIET: Final = logging.getLogger("otel_llm.websocket")
_QUIET.setLevel(logging.CRITICAL)  # what goes wrong is told as an error of the request


class WebSocketFrames:
    """The client's end of one connection, and a framer: feed it what was read, in any pieces.

    url:    of the endpoint
    opened: whether the handshake was made before
    """

    def __init__(self, url: str, *, opened: bool = False) -> None:
        state = OPEN if opened else CONNECTING
        self._socket = ClientProtocol(parse_uri(url), state=state, max_size=MOST, logger=_QUIET)
        self._parts: list[bytes] = []

    @property
    def open(self) -> bool:
        """Whether the handshake is done and neither side has closed."""
        return self._socket.state is OPEN

    def handshake(self, headers: Mapping[str, str]) -> bytes:
        """Return the request that asks for a WebSocket, with further headers."""
        request = self._socket.connect()
        request.headers.update(headers)
        self._socket.send_request(request)
        return self.outgoing()

    def feed(self, read: bytes) -> Sequence[bytes]:
        """Return the messages that this read completed."""
        socket = self._socket
        socket.receive_data(read)
        return [message for event in socket.events_received() if (message := self._message(event)) is not None]

    def end(self) -> Sequence[bytes]:
        """Return what the end of the connection completes: nothing."""
        return ()

    def _message(self, event: object) -> bytes | None:
        if not isinstance(event, Frame) or event.opcode not in _DATA:
            return None
        if event.fin and not self._parts:
            return bytes(event.data)
        self._parts.append(bytes(event.data))
        if not event.fin:
            return None
        whole, self._parts = b"".join(self._parts), []
        return whole

    def asking(self, messages: Iterable[bytes]) -> bytes:
        """Return the bytes that send these messages."""
        for message in messages:
            self._socket.send_text(message)
        return self.outgoing()

    def closing(self) -> bytes:
        """Return the bytes that say goodbye, where the connection is still open."""
        if not self.open:
            return b""
        self._socket.send_close(_NORMAL)
        return self.outgoing()

    def outgoing(self) -> bytes:
        """Return what is to be sent by itself, such as the answer to a ping."""
        return b"".join(self._socket.data_to_send())

    @property
    def refusal(self) -> RemoteError | None:
        """Why the handshake failed: of the kind of an HTTP status, or `bad_websocket`."""
        error = self._socket.handshake_exc
        if error is None:
            return None
        wanted, hint = "a WebSocket", "is --url right?"
        if isinstance(error, InvalidStatus):
            status, body = error.response.status_code, error.response.body or b""
            said = body[:WORDS].decode("utf-8", "replace").strip()
            return RemoteError(str(status), wanted, f"HTTP {status}{said and ': '}{said}", hint)
        if isinstance(error, InvalidHandshake):
            return RemoteError("bad_websocket", wanted, error, hint)
        raise error

    @property
    def ending(self) -> tuple[str, str]:
        """How the connection ended, as (kind, words): `close_1011` for a close code, `bad_websocket` for no frame."""
        if (closed := self._socket.close_rcvd) is not None:
            return (
                f"close_{closed.code:d}",
                closed.reason or f"the server closed the WebSocket with code {closed.code:d}",
            )
        return "bad_websocket", str(self._socket.parser_exc or "the WebSocket was closed")
