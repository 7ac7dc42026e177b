"""HTTP proxies: which one the environment names, and the way through it.

A plain request goes to the proxy with the whole URL in its first line; a TLS connection goes through a tunnel that the
proxy opens (CONNECT, RFC 9110, section 9.3.6). Either way the socket is ours and its reads are stamped as any other's.
"""

import asyncio
import base64
import socket
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from otel_llm.errors import ConfigError, RemoteError
from otel_llm.wire.http import Answer

__all__ = ["Proxy", "proxy_for", "tunnel"]

_READ = 65536


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy. `authorization` is the value of Proxy-Authorization, None for none; it is never shown."""

    host: str
    port: int
    authorization: str | None = None

    def __repr__(self) -> str:
        return f"<proxy {self.host}:{self.port}>"

    @classmethod
    def parse(cls, url: str) -> "Proxy":
        """Return the proxy of a URL such as http://user:password@host:3128. Raises ConfigError for any other kind."""
        wanted = "a proxy such as http://host:3128"
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port = parts.port or 80
        except ValueError:
            raise ConfigError(wanted, "one whose port is no number") from None
        if parts.scheme != "http" or not parts.hostname:
            raise ConfigError(wanted, f"one that begins with {parts.scheme}://", "only http:// proxies are spoken to")
        authorization = None
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return cls(parts.hostname, port, authorization)


def proxy_for(host: str, *, tls: bool) -> Proxy | None:
    """Return the proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY (or the system's settings) name for a host."""
    if proxy_bypass(host):
        return None
    url = getproxies().get("https" if tls else "http")
    return Proxy.parse(url) if url else None


async def tunnel(sock: socket.socket, proxy: Proxy, authority: str) -> None:
    """Open a tunnel to `authority` (host:port) through a proxy. Raises RemoteError of kind `proxy` when it refuses."""
    loop, answer = asyncio.get_running_loop(), Answer()
    lines = [f"CONNECT {authority} HTTP/1.1", f"host: {authority}"]
    if proxy.authorization is not None:
        lines.append(f"proxy-authorization: {proxy.authorization}")
    await loop.sock_sendall(sock, "\r\n".join((*lines, "", "")).encode())
    while answer.status < 200:
        received = await loop.sock_recv(sock, _READ)
        if not received:
            raise RemoteError("proxy", f"a tunnel to {authority} through {proxy}", "a closed connection")
        answer.feed(received)
    if not 200 <= answer.status < 300:
        raise RemoteError("proxy", f"a tunnel to {authority} through {proxy}", f"HTTP {answer.status}")
