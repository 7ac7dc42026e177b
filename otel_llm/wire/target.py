"""Where requests go: a parsed URL, and the addresses that it resolves to."""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from otel_llm.errors import ConfigError, RemoteError
from otel_llm.wire.proxy import Proxy

__all__ = ["Target", "tls_context"]

_CARRIERS: Final = {
    "http": "http", "https": "http", "grpc": "grpc", "grpcs": "grpc", "ws": "websocket", "wss": "websocket",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint. `host` is as in the URL, without brackets; `unix` a socket path to use in its place.

    proxy: the proxy on the way, None for none
    """

    url: str
    host: str
    port: int
    path: str
    tls: bool
    unix: str | None = None
    proxy: Proxy | None = None

    @classmethod
    def parse(cls, url: str, unix: str | None = None, proxy: Proxy | None = None) -> "Target":
        """Return the target of an absolute URL of HTTP, gRPC or WebSocket. Raises ConfigError for any other."""
        wanted = "an absolute URL such as http://localhost:8000/v1/chat/completions"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ConfigError(wanted, url) from None
        if parts.scheme not in _CARRIERS or not parts.hostname:
            raise ConfigError(wanted, url, "begin it with http:// or https://, grpc:// or grpcs://, ws:// or wss://")
        if parts.username is not None:
            raise ConfigError("a URL without a user and a password", f"one for {parts.hostname}", "use --headers")
        tls = parts.scheme in ("https", "grpcs", "wss")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(url, parts.hostname, port or (443 if tls else 80), path, tls, unix, proxy)

    @property
    def carrier(self) -> str:
        """What requests go by: "http", "grpc" (then `path` is the method) or "websocket"."""
        return _CARRIERS[urlsplit(self.url).scheme]

    @property
    def tunnelled(self) -> bool:
        """Whether a proxy only passes bytes on: to TLS, to a WebSocket and to gRPC."""
        return self.tls or self.carrier != "http"

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def authority(self) -> str:
        """host:port, as a CONNECT request names it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def request_target(self) -> str:
        """The target in the first line of a request: the path, or the whole URL for a proxy that reads it."""
        return f"http://{self.host_header}{self.path}" if self.proxy and not self.tunnelled else self.path

    @property
    def proxy_headers(self) -> dict[str, str]:
        """Headers for a proxy that reads the request itself."""
        if self.proxy is None or self.proxy.authorization is None or self.tunnelled:
            return {}
        return {"proxy-authorization": self.proxy.authorization}

    async def addresses(self) -> list[tuple[int, object]]:
        """Return the (family, address) pairs to try, in the resolver's order. Raises RemoteError for none."""
        if self.unix is not None:
            return [(socket.AF_UNIX, self.unix)]
        host, port = (self.proxy.host, self.proxy.port) if self.proxy is not None else (self.host, self.port)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise RemoteError("dns", f"an address for {host}", error, "look at --url and --proxy") from error
        return [(family, address) for family, _, _, _, address in found]


def tls_context(
    *,
    insecure: bool = False,
    ca: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
    http2: bool = False,
) -> ssl.SSLContext:
    """Return the client's TLS settings: verified by the system's authorities unless told otherwise.

    http2: whether HTTP/2 is to be agreed on
    Raises ConfigError for a file that cannot be used.
    """
    for option, name in (("--ca", ca), ("--cert", certificate), ("--key", key)):
        if name is not None and not Path(name).is_file():
            raise ConfigError(f"{option} to name a file", name)
    try:
        context = ssl.create_default_context(cafile=ca)
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError("certificates in PEM form", error) from error
    if insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if http2:
        context.set_alpn_protocols(["h2"])
    return context
