"""gRPC over HTTP/2: each request is a call, each message of its answer an event, stamped as any read.

A connection has one call at a time. Source: the protocol over HTTP/2 as grpc/doc/PROTOCOL-HTTP2.md of gRPC has it, and
grpc/doc/http-grpc-status-mapping.md for answers that no server of gRPC has given.
"""

from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Final, cast
from urllib.parse import unquote

from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.http2 import Http2Connection, taken_apart
from otel_llm.wire.http2_frames import Came, Fields
from otel_llm.wire.messages import MessagePeer, MessageProtocol
from otel_llm.wire.peer import Bytes
from otel_llm.wire.target import Target

__all__ = ["GrpcConnection"]

_PREFIX: Final = Struct("!BI")
_HELD: Final = 32
"""So many messages in the middle of an answer are read together."""
_STATUSES: Final = (
    "ok", "cancelled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists",
    "permission_denied", "resource_exhausted", "failed_precondition", "aborted", "out_of_range", "unimplemented",
    "internal", "unavailable", "data_loss", "unauthenticated",
)  # fmt: skip
_OF_HTTP: Final[Mapping[bytes, str]] = {
    b"400": "internal", b"401": "unauthenticated", b"403": "permission_denied", b"404": "unimplemented",
    b"429": "unavailable", b"502": "unavailable", b"503": "unavailable", b"504": "unavailable",
}  # fmt: skip
_OF_RESET: Final[Mapping[str, str]] = {
    "CANCEL": "cancelled", "REFUSED_STREAM": "unavailable", "ENHANCE_YOUR_CALM": "resource_exhausted",
    "INADEQUATE_SECURITY": "permission_denied",
}  # fmt: skip
_HTTPS_OWN: Final = frozenset(
    (b"host", b"content-type", b"content-length", b"accept", b"accept-encoding", b"connection", b"user-agent")
)
_LONGEST_MS: Final = 99_999_999


class GrpcConnection(Http2Connection):
    """One open connection for calls of one method.

    deadline_s: of each call, which the server is told; None for none
    """

    hint = "is --url that of its gRPC port?"

    def __init__(self, below: Bytes, target: Target, protocol: type[MessageProtocol], deadline_s: float | None) -> None:
        super().__init__(below, tls=target.tls)
        self._protocol, self._deadline_s = protocol, deadline_s
        self._head = [
            *((b":method", b"POST"), (b":scheme", self._scheme), (b":path", target.path.partition("?")[0].encode())),
            *((b":authority", target.authority.encode()), (b"te", b"trailers")),
            *((b"content-type", b"application/grpc"), (b"user-agent", b"otel-llm")),
        ]
        if deadline_s is not None:
            self._head.append((b"grpc-timeout", b"%dm" % min(round(deadline_s * 1e3), _LONGEST_MS)))
        self._forget()

    def _forget(self) -> None:
        self._status, self._head_fields = b"", dict[bytes, bytes]()
        self._rest = b""
        self._held, self._numbers, self._handed = list[bytes](), list[int](), 0
        self._arrivals = Arrivals()

    @property
    def _begun(self) -> bool:
        return self._handed > 0

    def settle(self) -> None:
        """Hand on what is held back."""
        super().settle()
        self._hand_on()

    def _request(self, wire: bytes) -> tuple[Fields, bytes]:
        self._forget()
        _, headers, body = taken_apart(wire)
        message = self._protocol.pack(body)
        fields = [*self._head, *((name, value) for name, value in headers if name not in _HTTPS_OWN)]
        return fields, _PREFIX.pack(0, len(message)) + message

    def _answer(self, came: Sequence[Came], arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        for number, each in enumerate(came, arrivals.count - len(came) + 1):
            if each.head:
                (_, self._status), *fields = each.head
                self._head_fields |= fields
            if each.body:
                self._take_apart(each.body, number)
            if each.ended or each.reset:
                self._end(each)
                return
        if self._held and (not self._handed or len(self._held) >= _HELD):
            self._hand_on()

    def _take_apart(self, body: bytes, number: int) -> None:
        """Hold the messages that a read completed."""
        data, at = self._rest + body, 0
        while at + _PREFIX.size <= len(data):
            _, length = _PREFIX.unpack_from(data, at)
            stop = at + _PREFIX.size + length
            if stop > len(data):
                break
            self._held.append(data[at + _PREFIX.size : stop])
            self._numbers.append(number)
            at = stop
        self._rest = data[at:]

    def _hand_on(self) -> bool:
        """Return whether all that was held were messages: the call ends at the first that is none."""
        (held, self._held), (numbers, self._numbers) = (self._held, []), (self._numbers, [])
        if not held or self._peer is None:
            return True
        peer, events, broken = cast("MessagePeer", self._peer), list[bytes](), ""
        self._handed += len(held)
        try:
            events.extend(map(self._protocol.unpack, held))
        except ValueError as error:
            broken = f"{type(error).__name__}: {error}"
        if events:
            peer.took(events, numbers[: len(events)], self._arrivals)
        if broken:
            peer.closed("bad_event", broken)
        return not broken

    def _end(self, came: Came) -> None:
        """Tell the peer how the call ended."""
        if not self._hand_on():
            return
        peer = cast("MessagePeer", self._peer)
        self._head_fields |= came.trailers
        peer.closed(*self._outcome(came.reset))

    def _outcome(self, reset: str) -> tuple[str, str]:
        """Return the status of the call and its words. A call that was given up may have none."""
        said = self._head_fields.get(b"grpc-status")
        words = unquote(self._head_fields.get(b"grpc-message", b"").decode("latin-1"))
        if said is not None:
            known = said.isdigit() and int(said) < len(_STATUSES)
            status = _STATUSES[int(said)] if known else "unknown"
        elif self._status not in (b"", b"200"):
            status, words = _OF_HTTP.get(self._status, "unknown"), f"HTTP status {self._status.decode()}"
        else:
            status = _OF_RESET.get(reset, "internal")
            words = f"the server gave the call up: {reset}" if reset else "the call ended without a status"
        if status == "deadline_exceeded" and self._deadline_s is not None:
            return "request_timeout", f"no end within {self._deadline_s:g} s"
        return status, words
