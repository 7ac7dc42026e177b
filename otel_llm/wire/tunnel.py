"""The tunnel that a proxy opens for a TLS connection (CONNECT, RFC 9110, section 9.3.6)."""

import asyncio
import socket

from otel_llm.errors import RemoteError
from otel_llm.wire.http import Answer
from otel_llm.wire.proxy import Proxy

__all__ = ["tunnel"]

_READ = 65536


async def tunnel(sock: socket.socket, proxy: Proxy, authority: str) -> None:
    """Open a tunnel to `authority` (host:port) through a proxy. Raises RemoteError of kind `proxy` when it refuses."""
    loop, answer = asyncio.get_running_loop(), Answer()
    lines = [f"CONNECT {authority} HTTP/1.1", f"host: {authority}"]
    if proxy.authorization is not None:
        lines.append(f"proxy-authorization: {proxy.authorization}")
    try:
        await loop.sock_sendall(sock, "\r\n".join((*lines, "", "")).encode())
        while answer.status < 200:
            received = await loop.sock_recv(sock, _READ)
            if not received:
                raise RemoteError("proxy", f"a tunnel to {authority} through {proxy}", "a closed connection")
            answer.feed(received)
    except OSError as error:
        raise RemoteError("proxy", f"a tunnel to {authority} through {proxy}", error) from error
    if not 200 <= answer.status < 300:
        raise RemoteError("proxy", f"a tunnel to {authority} through {proxy}", f"HTTP {answer.status}")
