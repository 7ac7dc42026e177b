"""The simulated server's end of a WebSocket, by the websockets package: which messages ask for an answer."""

from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import orjson
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.protocol import OPEN, SERVER, Protocol
from websockets.server import ServerProtocol

from otel_llm.sim.client_connection import Request
from otel_llm.sim.formats.by_socket import BySocket, ResponsesBySocket, text_frame
from otel_llm.sim.formats.live_transcription import LiveTranscription
from otel_llm.sim.formats.realtime import Realtime

__all__ = ["SESSIONS", "Session", "accepted"]

_DATA: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


def accepted(request: Request) -> bytes | None:
    """Return the answer to the handshake of a client; None where it cannot be taken."""
    response = ServerProtocol().accept(Handshake(request.target, Headers(request.headers)))
    return response.serialize() if response.status_code == 101 else None


class Session:
    """What is said on one WebSocket. Messages that ask for an answer are requests; others are answered at once."""

    spoken: type[BySocket] = ResponsesBySocket

    def __init__(self, request: Request) -> None:
        self._socket = Protocol(SERVER, max_size=None)
        self._parts: list[bytes] = []
        self._replies: list[bytes] = []
        """Messages that answer no request."""
        self.stop: Callable[[], bool] = lambda: False

    @property
    def over(self) -> bool:
        return self._socket.state is not OPEN

    def feed(self, data: bytes) -> Iterable[bytes]:
        self._socket.receive_data(data)
        for event in self._socket.events_received():
            if isinstance(event, Frame) and event.opcode in _DATA:
                self._parts.append(bytes(event.data))
                if event.fin:
                    message, self._parts = b"".join(self._parts), []
                    yield from self.asked(message)

    def outgoing(self) -> bytes:
        replies, self._replies = self._replies, []
        return b"".join((*self._socket.data_to_send(), *replies))

    def asked(self, message: bytes) -> Iterable[bytes]:
        """Return the bodies of the requests that a message makes."""
        return (message,)

    def refused(self, message: str, kind: str, status: int) -> bytes:
        """Return what is said of a request that cannot be used."""
        return text_frame(orjson.dumps(self.spoken.refusal(message, kind, status)))


class RealtimeSession(Session):
    """Keeps a conversation. A `response.create` that brings an input of its own leaves it out."""

    spoken = Realtime

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._model = parse_qs(urlsplit(request.target).query)["model"][0]
        self._session: dict[str, Any] = {"type": "realtime", "output_modalities": ["audio"]}
        self._items: list[Any] = []
        self._replies.append(self._event("session.created", session=self._session))

    def asked(self, message: bytes) -> Iterable[bytes]:
        try:
            event = orjson.loads(message)
            kind = event["type"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return (message,)  # to be refused as any request is
        if kind == "session.update":
            self._session |= event.get("session") or {}
            self._replies.append(self._event("session.updated", session=self._session))
        elif kind == "conversation.item.create":
            self._items.append(event.get("item"))
            self._replies.append(self._event("conversation.item.added", item=event.get("item")))
        elif kind == "response.cancel":
            if not self.stop():
                self._replies.append(text_frame(orjson.dumps(Realtime.nothing_to_stop())))
        elif kind == "response.create":
            asked = {"input": self._items, "model": self._model, **(event.get("response") or {})}
            asked.setdefault("output_modalities", self._session["output_modalities"])
            return (orjson.dumps(asked),)
        return ()

    def _event(self, kind: str, **members: object) -> bytes:
        return text_frame(orjson.dumps({"type": kind, "event_id": "event_0", **members}))


class TranscriptionSession(Session):
    """vLLM's: a recording comes in pieces, and is answered when it has come to its end."""

    spoken = LiveTranscription

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._settings: dict[str, Any] = {}
        self._size = 0
        self._replies.append(text_frame(orjson.dumps({"type": "session.created", "id": "sess-0", "created": 0})))

    def asked(self, message: bytes) -> Iterable[bytes]:
        try:
            event = orjson.loads(message)
            kind = event["type"]
            if kind == "session.update":
                self._settings = {"model": event["model"], **{k: v for k, v in event.items() if k != "type"}}
            elif kind == "input_audio_buffer.append":
                self._size += len(b64decode(event["audio"], validate=True))
            elif kind != "input_audio_buffer.commit":
                self._refuse(f"Unknown event type: {kind}", "unknown_event")
            elif not self._settings:
                self._refuse("Model not validated", "model_not_validated")
            elif event.get("final"):
                size, self._size = self._size, 0
                return (orjson.dumps({**self._settings, "audio_bytes": size}),)
        except (ValueError, KeyError, TypeError) as error:
            self._refuse(f"expected a message of vLLM's, got {error!r}", "invalid_json")
        return ()

    def _refuse(self, message: str, kind: str) -> None:
        self._replies.append(self.refused(message, kind, 400))


def _at_realtime(request: Request) -> Session:
    """Return OpenAI's session where the address names a model, as it has to there, and vLLM's otherwise."""
    of_openai = "model" in parse_qs(urlsplit(request.target).query)
    return (RealtimeSession if of_openai else TranscriptionSession)(request)


SESSIONS: Final[Mapping[str, Callable[[Request], Session]]] = {"/responses": Session, "/realtime": _at_realtime}
"""By the ending of the path at which they are opened."""
