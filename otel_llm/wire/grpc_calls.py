"""A channel of gRPC in the place of a connection: each request is a call, each message of its answer a read.

grpcio receives in a thread of its own and hands messages to the loop, where they are stamped as the first thing that
is done with them; how long that took is not known. A channel has a TCP connection that it shares with no other.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from struct import Struct
from typing import Any, Final, cast

import grpc

from otel_llm.clock import now_ns
from otel_llm.errors import RemoteError
from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.messages import MessagePeer, MessageProtocol
from otel_llm.wire.peer import Peer
from otel_llm.wire.target import Target

__all__ = ["GrpcConnection", "connect"]

_STAMP: Final = Struct("q")
_HELD: Final = 32
"""So many messages in the middle of an answer are stamped as they come, and read together."""
_OPTIONS: Final = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),  # a request is sent once, or it is said
    ("grpc.max_receive_message_length", -1),
    ("grpc.primary_user_agent", "otel-llm"),
)
_HTTPS_OWN: Final = frozenset(
    (b"host", b"content-type", b"content-length", b"accept", b"accept-encoding", b"connection", b"user-agent")
)


class GrpcConnection:
    """One open channel, with the members of `otel_llm.wire.connection.Connection`.

    deadline_s: of each call, which the server is told; None for none
    """

    def __init__(
        self,
        channel: Any,
        target: Target,
        protocol: type[MessageProtocol],
        connect_ns: int,
        deadline_s: float | None,
    ) -> None:
        self._channel, self._protocol, self._deadline_s = channel, protocol, deadline_s
        self._ask = channel.unary_stream(target.path.partition("?")[0])  # half closed behind the one request
        self.peer: Peer | None = None
        self.connect_ns = connect_ns
        self.idle_since_ns = self.last_ns = now_ns()
        self.used = 0
        self.on_closed: Callable[[GrpcConnection], object] | None = None
        self._closed = False
        self._answer: asyncio.Task[None] | None = None
        self._call: Any = None
        self._arrivals, self._held = Arrivals(), list[bytes]()

    @property
    def open(self) -> bool:
        """Whether the next call goes out on the connection that is there: a channel would open another by itself."""
        return not self._closed and self._channel.get_state() is grpc.ChannelConnectivity.READY

    def send(self, wire: bytes, peer: Peer) -> int:
        """Send a request, in the form that HTTP gives it, for `peer`; return the moment before the call began."""
        metadata, body = _taken_apart(wire)
        message = self._protocol.pack(body)
        self.peer = peer
        self.used += 1
        self.last_ns = sent = now_ns()
        self._arrivals, self._held = Arrivals(), []
        self._call = self._ask(message, metadata=metadata, timeout=self._deadline_s)
        self._answer = asyncio.create_task(self._receive(self._call, cast("MessagePeer", peer)))
        return sent

    def settle(self) -> None:
        """Hand on the messages that are held back."""
        self._hand_on()

    def _hand_on(self) -> bool:
        """Return whether all of them were messages: at the first that is none the call is cancelled."""
        held, self._held = self._held, []
        if not held or self.peer is None:
            return True
        peer, events, broken = cast("MessagePeer", self.peer), list[bytes](), ""
        try:
            events.extend(map(self._protocol.unpack, held))
        except ValueError as error:
            broken = f"{type(error).__name__}: {error}"
            self._arrivals.count -= len(held) - len(events)
            del self._arrivals.own[self._arrivals.count :]
        if events:
            last = self._arrivals.count
            peer.took(events, range(last - len(events) + 1, last + 1), self._arrivals)
        if broken:
            self._call.cancel()
            peer.closed("bad_event", broken)
        return not broken

    def look(self) -> None:
        """Do nothing: grpcio tells of the end of a connection by itself."""

    def close(self) -> None:
        """Cancel what is under way and close the channel. The peer is not told."""
        if not self._closed:
            self._closed, self.peer = True, None
            asyncio.get_running_loop().create_task(self._close())  # nobody waits for it
            if self.on_closed is not None:
                self.on_closed(self)

    async def _close(self) -> None:
        if self._answer is not None:
            self._answer.cancel()
        await self._channel.close()

    async def _receive(self, call: Any, peer: MessagePeer) -> None:
        arrivals, note = self._arrivals, self._arrivals.own.append
        try:
            while (message := await call.read()) is not grpc.aio.EOF:
                self.last_ns = at = now_ns()
                note(_STAMP.pack(at))
                arrivals.count += 1
                self._held.append(message)
                if (arrivals.count == 1 or len(self._held) == _HELD) and not self._hand_on():
                    return None
            status, details = await call.code(), await call.details()
        except grpc.aio.AioRpcError as error:
            status, details = error.code(), error.details()
        finally:
            self._answer = None
        if not self._hand_on():
            return None
        if status is grpc.StatusCode.DEADLINE_EXCEEDED and self._deadline_s is not None:
            return peer.closed("request_timeout", f"no end within {self._deadline_s:g} s")
        return peer.closed(status.name.lower(), details or "")


async def connect(
    target: Target,
    protocol: type[MessageProtocol],
    tls: Mapping[str, Any],
    within_s: float,
    deadline_s: float | None = None,
) -> GrpcConnection:
    """Return an open channel, TLS done, within `within_s` seconds.

    tls:        as `otel_llm.wire.target.tls_context` takes it; grpcio verifies always
    deadline_s: of each call; None for none
    Raises RemoteError of kind `connect_timeout`.
    """
    protocol.prepare()
    began = now_ns()
    where = f"unix:{target.unix}" if target.unix is not None else target.authority
    if target.tls:
        channel = grpc.aio.secure_channel(where, _credentials(tls), _OPTIONS)
    else:
        channel = grpc.aio.insecure_channel(where, _OPTIONS)
    try:
        async with asyncio.timeout(within_s):
            await channel.channel_ready()
    except BaseException as error:
        await channel.close()
        if isinstance(error, TimeoutError):
            raise RemoteError(
                "connect_timeout", f"a gRPC server at {target.authority} within {within_s:g} s",
                next_step="is it up, and are --url and --ca right?",
            ) from None  # fmt: skip
        raise
    return GrpcConnection(channel, target, protocol, now_ns() - began, deadline_s)


def _credentials(tls: Mapping[str, Any]) -> Any:
    files = (Path(name).read_bytes() if (name := tls.get(key)) else None for key in ("ca", "key", "certificate"))
    return grpc.ssl_channel_credentials(*files)


def _taken_apart(wire: bytes) -> tuple[tuple[tuple[str, str], ...], bytes]:
    """Return the metadata and the body of a request in the form of HTTP: its own headers mean nothing to a call."""
    head, _, body = wire.partition(b"\r\n\r\n")
    fields = (line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    return tuple((name.decode(), value.decode("latin-1")) for name, value in fields if name not in _HTTPS_OWN), body
