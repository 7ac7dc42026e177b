"""A socket on the loop: takes what arrived, stamps it before anything else, hands it to its peer.

On Linux the kernel stamps each segment when it arrives (SO_TIMESTAMPNS), so a read carries the true time even when
this process was busy, and the difference to our own clock says, read by read, how late we were. Elsewhere the stamp is
ours, taken as the first thing.

A read in the middle of a stream is stamped and held back; several are handed on together when nothing else is to be
read. So none waits in the kernel while another is processed, and most of the cost is paid once for all of them. A read
that may be the head or the end of an answer is handed on at once.
"""

import asyncio
import contextlib
import errno
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from struct import pack
from typing import Final

from otel_llm.clock import KernelClock, now_ns
from otel_llm.errors import RemoteError
from otel_llm.wire.arrivals import NO_STAMP, Arrivals
from otel_llm.wire.peer import Peer
from otel_llm.wire.target import Target
from otel_llm.wire.tls import Tls, TlsEndedError
from otel_llm.wire.tunnel import tunnel

__all__ = ["KERNEL_STAMPS", "Connection", "connect", "note_reads"]

KERNEL_STAMPS: Final = sys.platform == "linux"

_SO_TIMESTAMPNS: Final = 35  # not in the socket module
_READ: Final = 65536
_ANCILLARY: Final = socket.CMSG_SPACE(16) if KERNEL_STAMPS else 0
_TOGETHER: Final = 16
_SHORT: Final = 2048


def note_reads(arrivals: Arrivals, own: Sequence[int], stamps: Sequence[bytes] = (), offset: int | None = None) -> None:
    """Note reads of an answer: our own stamp of each, the kernel's, and the current offset of the wall clock, ns."""
    arrivals.own.append(pack(f"{len(own)}q", *own))
    if offset is not None:
        arrivals.stamps.append(b"".join(stamps))
        if not arrivals.offsets or arrivals.offsets[-1][1] != offset:
            arrivals.offsets.append((arrivals.count, offset))
    arrivals.count += len(own)


class Connection:
    """One open connection. `peer` is set during a request and None while it is idle."""

    __slots__ = (
        "_arrivals",
        "_clock",
        "_held",
        "_loop",
        "_pending",
        "_recvmsg",
        "_ripe",
        "_socket",
        "_tls",
        "connect_ns",
        "idle_since_ns",
        "last_ns",
        "on_closed",
        "open",
        "peer",
        "used",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        clock: KernelClock,
        tls: Tls | None,
        connect_ns: int,
        ripe: "list[Connection]",
    ) -> None:
        """ripe: a list to which it adds itself when it holds many reads, to be settled when there is time"""
        self._loop, self._socket, self._clock, self._tls, self._ripe = loop, sock, clock, tls, ripe
        self._recvmsg = sock.recvmsg
        self._arrivals = Arrivals()
        self._pending = b""
        self._held: list[tuple[bytes, bytes, int]] = []  # (data, the kernel's stamp, our own)
        self.peer: Peer | None = None
        self.connect_ns = connect_ns
        self.idle_since_ns = self.last_ns = now_ns()
        self.used = 0
        self.open = True
        self.on_closed: Callable[[Connection], object] | None = None
        loop.add_reader(sock.fileno(), self._readable)

    def send(self, wire: bytes, peer: Peer) -> int:
        """Send a request for `peer`; return the moment just before its first byte left."""
        self.peer = peer
        self.begin_anew()
        self.used += 1
        wire = self._sealed(wire)
        self.last_ns = sent = now_ns()
        self._write(wire)
        return sent

    def begin_anew(self) -> None:
        """Note the reads that come from now on as those of another answer."""
        self._arrivals = Arrivals()

    def write(self, wire: bytes) -> None:
        """Send what is no request."""
        if wire:
            self._write(self._sealed(wire))

    def _sealed(self, wire: bytes) -> bytes:
        """Return the bytes as they leave: encrypted, where there is TLS."""
        if self._tls is None:
            return wire
        try:
            return self._tls.encrypt(wire)
        except ssl.SSLError as error:  # its other side has ended the session
            self._loop.call_soon(self._lost, error)
            return b""

    def settle(self) -> None:
        """Hand on the reads that are held back."""
        held, self._held = self._held, []
        if not held or self.peer is None:
            return
        reads, stamps, own = zip(*held, strict=True)
        note_reads(self._arrivals, own, stamps, self._clock.offset)
        self.peer.received(reads, self._arrivals)

    def look(self) -> None:
        """Read what the loop may not have told of: uvloop watches no socket any longer that was reset behind data."""
        if self.open:
            self._readable()

    def close(self) -> None:
        """Close it. The peer is not told."""
        if self.open:
            self.open, self.peer = False, None
            self._loop.remove_reader(self._socket.fileno())
            if self._pending:
                self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
            if self.on_closed is not None:
                self.on_closed(self)

    def _readable(self) -> None:
        try:
            data, ancillary, _, _ = self._recvmsg(_READ, _ANCILLARY)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            return self._lost(error)
        self.last_ns = now = now_ns()
        if self._tls is not None and data:
            try:
                data = self._tls.decrypt(data, self._write)
            except TlsEndedError:
                return self._lost(None)
            except ssl.SSLError as error:
                return self._lost(error)
            if not data:
                return None
        peer = self.peer
        if not data or peer is None:  # its end; an idle connection has nothing to say but goodbye
            return self._lost(None)
        self._held.append((data, ancillary[0][2] if ancillary else NO_STAMP, now))
        if (data[-4:] != peer.mid_stream_tail and not peer.in_the_middle(data)) or len(data) > _SHORT:
            return self.settle()
        if len(self._held) == _TOGETHER:
            self._ripe.append(self)
        return None

    def _write(self, wire: bytes) -> None:
        if self._pending:
            self._pending += wire
            return
        try:
            count = self._socket.send(wire)
        except (BlockingIOError, InterruptedError):
            count = 0
        except OSError as error:
            self._loop.call_soon(self._lost, error)
            return
        if count < len(wire):
            self._pending = wire[count:]
            self._loop.add_writer(self._socket.fileno(), self._writable)

    def _writable(self) -> None:
        self._loop.remove_writer(self._socket.fileno())
        wire, self._pending = self._pending, b""
        self._write(wire)

    def _lost(self, error: Exception | None) -> None:
        self.settle()
        peer = self.peer
        self.close()
        if peer is not None:
            peer.lost(error)


async def connect(
    target: Target, clock: KernelClock, tls: ssl.SSLContext | None, within_s: float, ripe: list[Connection]
) -> Connection:
    """Return an open connection, TLS done, within `within_s` seconds.

    Raises RemoteError of kind `dns`, `connect`, `connect_timeout`, `proxy` or `tls`.
    """
    began = now_ns()
    try:
        async with asyncio.timeout(within_s):
            sock = await _open(target)
            try:
                if target.proxy is not None and target.tunnelled:
                    await tunnel(sock, target.proxy, target.authority)
                session = await _handshake(sock, tls, target.host) if tls is not None else None
            except BaseException:
                sock.close()
                raise
    except TimeoutError:
        raise RemoteError("connect_timeout", f"a connection to {target.host_header} within {within_s:g} s") from None
    return Connection(asyncio.get_running_loop(), sock, clock, session, now_ns() - began, ripe)


async def _open(target: Target) -> socket.socket:
    loop, last = asyncio.get_running_loop(), OSError(errno.EADDRNOTAVAIL, "no address")
    for family, address in await target.addresses():
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            last = error
            continue
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if KERNEL_STAMPS:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        try:
            await loop.sock_connect(sock, address)  # type: ignore[arg-type]  # a path for AF_UNIX, a tuple otherwise
        except OSError as error:
            sock.close()
            last = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    where = target.unix or (target.proxy and repr(target.proxy)) or target.host_header
    raise RemoteError("connect", f"a server at {where}", last, "is it up, and is --url right?") from last


async def _handshake(sock: socket.socket, context: ssl.SSLContext, host: str) -> Tls:
    loop, session, received = asyncio.get_running_loop(), Tls(context, host), b""
    try:
        while True:
            done, out = session.handshake(received)
            if out:
                await loop.sock_sendall(sock, out)
            if done:
                return session
            received = await loop.sock_recv(sock, _READ)
            if not received:
                raise RemoteError("tls", f"a TLS handshake with {host}", "a closed connection")
    except (ssl.SSLError, OSError) as error:
        raise RemoteError(
            "tls", f"a TLS handshake with {host}", error, "--ca, or --insecure to go unverified"
        ) from error
