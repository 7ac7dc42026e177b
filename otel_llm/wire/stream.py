"""The connection for loops that cannot watch a socket of ours: an `asyncio.Protocol`, stamped on entry.

What `otel_llm.wire.connection` does, with the loop's own transports, its TLS included. The stamp is ours, taken as the
first thing when the loop hands over what it has read; how long that had waited is not known.
"""

import asyncio
import ssl
from collections.abc import Callable
from struct import Struct
from typing import Final

from otel_llm.clock import now_ns
from otel_llm.errors import RemoteError
from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.peer import Peer
from otel_llm.wire.target import Target

__all__ = ["StreamConnection", "connect"]

_STAMP: Final = Struct("q")


class StreamConnection(asyncio.Protocol):
    """One open connection, with the members of `otel_llm.wire.connection.Connection`."""

    def __init__(self) -> None:
        self.peer: Peer | None = None
        self.connect_ns = 0
        self.idle_since_ns = self.last_ns = now_ns()
        self.used = 0
        self.open = False
        self.on_closed: Callable[[StreamConnection], object] | None = None
        self._transport: asyncio.Transport | None = None
        self._arrivals = Arrivals()

    def send(self, wire: bytes, peer: Peer) -> int:
        """Send a request for `peer`; return the moment just before it was handed to the loop's transport."""
        self.peer = peer
        self.begin_anew()
        self.used += 1
        self.last_ns = sent = now_ns()
        self.write(wire)
        return sent

    def begin_anew(self) -> None:
        """Note the reads that come from now on as those of another answer."""
        self._arrivals = Arrivals()

    def write(self, wire: bytes) -> None:
        """Send what is no request."""
        if wire and self._transport is not None:
            self._transport.write(wire)

    def settle(self) -> None:
        """Do nothing: what arrives here is handed on at once."""

    def look(self) -> None:
        """Do nothing: a transport of the loop tells of everything."""

    def close(self) -> None:
        """Close it. The peer is not told."""
        if self.open:
            self.open, self.peer = False, None
            if self._transport is not None:
                self._transport.abort()
            if self.on_closed is not None:
                self.on_closed(self)

    # -- what the loop calls -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.open = transport, True  # type: ignore[assignment]  # a stream's transport

    def data_received(self, data: bytes) -> None:
        at = self.last_ns = now_ns()
        if self.peer is None:  # an idle connection has nothing to say but goodbye
            self.close()
        else:
            self._arrivals.own.append(_STAMP.pack(at))
            self._arrivals.count += 1
            self.peer.received((data,), self._arrivals)

    def connection_lost(self, error: Exception | None) -> None:
        peer = self.peer
        self.close()
        if peer is not None:
            peer.lost(error)


async def connect(target: Target, tls: ssl.SSLContext | None, within_s: float) -> StreamConnection:
    """Return an open connection, TLS done, within `within_s` seconds.

    Raises RemoteError of kind `connect`, `connect_timeout` or `tls`.
    """
    began, loop = now_ns(), asyncio.get_running_loop()
    where = target.unix or target.host_header
    name = target.host if tls is not None else None
    try:
        async with asyncio.timeout(within_s):
            if target.unix is not None:
                opening = loop.create_unix_connection(StreamConnection, target.unix, ssl=tls, server_hostname=name)
                _, connection = await opening
            else:
                _, connection = await loop.create_connection(
                    StreamConnection, target.host, target.port, ssl=tls, server_hostname=name
                )
    except TimeoutError:
        raise RemoteError("connect_timeout", f"a connection to {where} within {within_s:g} s") from None
    except ssl.SSLError as error:
        hint = "--ca, or --insecure to go unverified"
        raise RemoteError("tls", f"a TLS handshake with {target.host}", error, hint) from error
    except OSError as error:
        raise RemoteError("connect", f"a server at {where}", error, "is it up, and is --url right?") from error
    connection.connect_ns = now_ns() - began
    return connection
