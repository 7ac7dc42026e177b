"""HTTP proxies: what a URL says of one, and which one the environment names.

A plain request goes to the proxy with the whole URL in its first line; a TLS connection goes through a tunnel
(`otel_llm.wire.tunnel`). Either way the socket is ours and its reads are stamped as any other's.
"""

import base64
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from otel_llm.errors import ConfigError

__all__ = ["Proxy", "proxy_for"]


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
