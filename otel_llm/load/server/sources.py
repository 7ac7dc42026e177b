"""Which metrics `--server-metrics` names: pages by their URL, those beside the endpoint, GPUs of this machine."""

import base64
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from otel_llm.errors import ConfigError
from otel_llm.load.server.source import NVML, Source
from otel_llm.wire.target import Target, tls_context

__all__ = ["AUTO", "sources_of"]

AUTO: Final = "auto"
_NEXT: Final = "give the URL of its page, `auto` or `nvml`"


def sources_of(
    named: Sequence[str], targets: Sequence[Target], headers: Mapping[str, str], tls: Mapping[str, Any]
) -> tuple[Source, ...]:
    """Return the sources in their order, each once. Raises ConfigError for what is none.

    headers: those of the run's requests, which may hold a key: they go to the endpoint's own host alone
    tls:     arguments of `otel_llm.wire.target.tls_context`
    """
    found: dict[tuple[str, ...], Source] = {}
    for name in named:
        for source in _beside(targets, headers, tls) if name == AUTO else [_named(name, tls)]:
            found.setdefault(tuple(source.urls), source)
    return tuple(found.values())


def _named(name: str, tls: Mapping[str, Any]) -> Source:
    if name == NVML:
        return Source((NVML,))
    try:
        parts = urlsplit(name)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise ConfigError("--server-metrics of http:// or https://", name if "@" not in name else "another", _NEXT)
    headers = {}
    if parts.username is not None:
        key = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers = {"Authorization": f"Basic {base64.b64encode(key.encode()).decode()}"}
    where = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    url = urlunsplit((parts.scheme, where, parts.path or "/metrics", parts.query, ""))
    return Source((url,), headers, _context(tls) if parts.scheme == "https" else None)


def _beside(targets: Sequence[Target], headers: Mapping[str, str], tls: Mapping[str, Any]) -> list[Source]:
    """Return the pages beside the endpoints: at the root, where the API's base path begins, and below it."""
    found = []
    for target in targets:
        if target.unix is not None or target.carrier != "http" or target.proxy is not None:
            raise ConfigError(
                "--server-metrics URL",
                AUTO,
                "an endpoint behind a proxy, a socket, gRPC or WebSocket has none beside it",
            )
        base = target.path.partition("?")[0].partition("/v1/")[0] if "/v1/" in target.path else ""
        host = f"[{target.host}]" if ":" in target.host else target.host
        root = f"{'https' if target.tls else 'http'}://{host}:{target.port}"
        urls = dict.fromkeys((f"{root}/metrics", f"{root}{base}/metrics", f"{root}{base}/v1/metrics"))
        found.append(Source(tuple(urls), headers, _context(tls) if target.tls else None))
    return found


def _context(tls: Mapping[str, Any]) -> ssl.SSLContext:
    return tls_context(**tls)
