"""Open connections to every endpoint of a plan: opened before they are needed, kept while they may be used again."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from otel_llm.clock import KernelClock, now_ns
from otel_llm.errors import RemoteError
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.wire import stream
from otel_llm.wire.connection import KERNEL_STAMPS, connect
from otel_llm.wire.connection import Connection as SocketConnection
from otel_llm.wire.messages import MessageProtocol, SocketProtocol
from otel_llm.wire.protocol import WireRequest
from otel_llm.wire.target import tls_context

__all__ = ["Connection", "Pool"]

_AT_ONCE: Final = 32
_IDLE_LIFE_NS: Final = 3_000_000_000
_SHORTEST_PAUSE_NS: Final = 50_000_000
_LONGEST_PAUSE_NS: Final = 1_000_000_000

if TYPE_CHECKING:  # the libraries of HTTP/2 and WebSocket are loaded by those who use them
    from otel_llm.wire.http2 import Http2Connection
    from otel_llm.wire.websocket import WebSocketConnection

    Connection = SocketConnection | stream.StreamConnection | Http2Connection | WebSocketConnection
else:
    Connection = SocketConnection | stream.StreamConnection


class Pool:
    """Connections by the number of their endpoint. An idle one is reused as long as its server keeps it open.

    spare: how many are kept open for requests to come, of each endpoint
    """

    def __init__(self, plan: LoadPlan, spare: int) -> None:
        self._plan, self._spare = plan, spare
        self.clock = KernelClock()
        self.ripe: list[SocketConnection] = []
        """Connections that hold back many reads: to be settled when there is time."""
        http2 = plan.http2 or plan.target.carrier == "grpc"
        self._tls = [tls_context(**plan.tls, http2=http2) if target.tls else None for target in plan.endpoints]
        self._idle: list[deque[Connection]] = [deque() for _ in plan.endpoints]
        self._opening: set[asyncio.Task[None]] = set()
        self._refusing_since_ns: list[int | None] = [None for _ in plan.endpoints]

    @property
    def endpoints(self) -> int:
        return len(self._idle)

    @property
    def stamps(self) -> str:
        """What stamps the reads of these connections."""
        return "kernel receive stamps" if KERNEL_STAMPS and self._plan.transport == "socket" else "user-space stamps"

    async def fill(self, count: int) -> tuple[int, RemoteError | None]:
        """Open `count` connections, some at a time; return how many, and why there are fewer."""
        opened = 0
        while opened < count:
            where = [(opened + i) % self.endpoints for i in range(min(_AT_ONCE, count - opened))]
            results = await asyncio.gather(*map(self.connect, where), return_exceptions=True)
            refused: RemoteError | None = None
            for endpoint, result in zip(where, results, strict=True):
                if isinstance(result, RemoteError):
                    refused = result
                elif isinstance(result, BaseException):
                    raise result
                else:
                    self.put_back(result, endpoint)
                    opened += 1
            if refused is not None:
                return opened, refused
        return opened, None

    async def connect(self, where: int) -> Connection:
        """Return a new connection. Raises RemoteError when it cannot be opened."""
        try:
            connection = await self._connect(where)
        except RemoteError:
            self._refusing_since_ns[where] = self._refusing_since_ns[where] or now_ns()
            raise
        self._refusing_since_ns[where] = None
        return connection

    async def _connect(self, where: int) -> Connection:
        plan, target = self._plan, self._plan.endpoints[where]
        try:
            if issubclass(plan.protocol, MessageProtocol):
                from otel_llm.wire import grpc_calls  # with its library, for those who ask by it

                plan.protocol.prepare()
                below = await self._bare(where)
                calls = grpc_calls.GrpcConnection(below, target, plan.protocol, plan.request_timeout_s)
                return await calls.greet(plan.connect_timeout_s)
            if plan.http2:
                from otel_llm.wire import http2

                below = await self._bare(where)
                return await http2.Http2Connection(below, tls=target.tls).greet(plan.connect_timeout_s)
            if target.carrier != "websocket" or not issubclass(plan.protocol, SocketProtocol):
                return await self._bare(where)
            from otel_llm.wire import websocket  # before the connection is opened, which takes no longer for it

            bare = await self._bare(where)
            headers = plan.all_headers(WireRequest(b""))
            return await websocket.upgrade(bare, target.url, headers, plan.protocol, plan.connect_timeout_s)
        except (OSError, ValueError) as error:  # no descriptor is left, a name that TLS cannot check, ...
            raise RemoteError("connect", f"a connection to {target.host_header}", error) from error

    async def _bare(self, where: int) -> SocketConnection | stream.StreamConnection:
        plan, target = self._plan, self._plan.endpoints[where]
        if plan.transport == "stream":
            return await stream.connect(target, self._tls[where], plan.connect_timeout_s)
        return await connect(target, self.clock, self._tls[where], plan.connect_timeout_s, self.ripe)

    def pause_ns(self, where: int) -> int:
        """Return how long to wait before the next connection to an endpoint, ns; 0 where the last one succeeded.

        It grows with the time for which nothing could be opened, so that a restarting server finds most of a plan
        unspent. Where that takes longer than a connection may, what is left of a counted plan ends without a pause.
        """
        since = self._refusing_since_ns[where]
        if since is None:
            return 0
        refused = now_ns() - since
        given_up = self._plan.duration_s is None and refused > self._plan.connect_timeout_s * 1e9
        return 0 if given_up else min(max(refused, _SHORTEST_PAUSE_NS), _LONGEST_PAUSE_NS)

    def take(self, where: int) -> Connection | None:
        """Return an open connection that has not been idle for so long that its server may be closing it."""
        now = now_ns()
        while self._idle[where]:
            connection = self._idle[where].pop()
            if _is_fresh(connection, now):
                return connection
            connection.close()
        return None

    def keep_fresh(self, until_ns: int) -> None:
        """Open one in the background for each endpoint of which none is left that `take` would return then."""
        for where, idle in enumerate(self._idle):
            if self._opening or self._refusing_since_ns[where] is not None:
                continue
            if not any(_is_fresh(connection, until_ns) for connection in idle):
                self._open_one(where)

    def put_back(self, connection: Connection, where: int) -> None:
        """Keep a connection for the next request, if it is still open."""
        if connection.open:
            connection.idle_since_ns = now_ns()
            self._idle[where].append(connection)

    def keep_spare(self, where: int) -> None:
        """Open one more in the background where few are idle. A failure shows again at the request that needs it."""
        if len(self._idle[where]) + len(self._opening) < self._spare:
            self._open_one(where)

    def _open_one(self, where: int) -> None:
        task = asyncio.create_task(self._open_spare(where))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open_spare(self, where: int) -> None:
        try:
            self.put_back(await self.connect(where), where)
        except RemoteError:
            return

    def close(self) -> None:
        """Close idle connections and stop opening new ones."""
        for task in self._opening:
            task.cancel()
        for connections in self._idle:
            for connection in list(connections):
                connection.close()


def _is_fresh(connection: Connection, at_ns: int) -> bool:
    """Whether a connection will not have been idle for so long that its server may be closing it."""
    return connection.open and (at_ns - connection.idle_since_ns < _IDLE_LIFE_NS or not connection.used)
