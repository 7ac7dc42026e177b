"""What a server says of its own version, asked once before a run: two runs of different versions are told apart.

The addresses are those that the protocol names (`Protocol.versions`), below the base path of the endpoint. The first
answer that has a version counts; without one, a header of any answer that names one. Nobody is asked behind a proxy, by
a Unix socket, gRPC or WebSocket.
"""

import re
import ssl
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from fnmatch import fnmatchcase
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final

import msgspec

from otel_llm.clock import now_ns
from otel_llm.wire.protocol import Protocol
from otel_llm.wire.target import Target, tls_context

__all__ = ["version_told"]

_PATIENCE_NS: Final = 2_000_000_000
_LONGEST: Final = 1 << 20
_SHOWN: Final = 100
_OF_A_VERSION: Final = re.compile(r"x-[\w-]*version", re.IGNORECASE)


def version_told(
    targets: Iterable[Target], protocol: type[Protocol], headers: Mapping[str, str], tls: Mapping[str, Any]
) -> str | None:
    """Return what the servers say, such as `0.11.0 (/version)`; None where none says it within two seconds.

    headers: those of the run's requests; tls: arguments of `otel_llm.wire.target.tls_context`. Raises nothing.
    """
    found: dict[str, None] = {}
    until_ns = now_ns() + _PATIENCE_NS
    for target in {(target.host, target.port): target for target in targets}.values():
        if target.carrier == "http" and target.unix is None and target.proxy is None and protocol.versions:
            with suppress(OSError, HTTPException, ValueError):
                if said := _ask(target, protocol, headers, tls, until_ns):
                    found[said] = None
    return ", ".join(found) or None


def _ask(
    target: Target, protocol: type[Protocol], headers: Mapping[str, str], tls: Mapping[str, Any], until_ns: int
) -> str | None:
    """Return what one server says. Raises OSError, HTTPException and ValueError."""
    in_header, base = None, _base_of(target, protocol)
    with closing(_connection(target, tls_context(**tls) if target.tls else None)) as connection:
        for address, member in protocol.versions:
            left_s = (until_ns - now_ns()) / 1e9
            if left_s <= 0:
                break
            connection.timeout = left_s
            if connection.sock is not None:
                connection.sock.settimeout(left_s)
            connection.request("GET", base + address, headers={**headers, "Accept": "application/json"})
            answer = connection.getresponse()
            in_header = in_header or _in_header(answer)
            body = answer.read(_LONGEST)
            if not answer.isclosed():
                connection.close()  # too long for a version, and in the way of the next answer
            if answer.status == 200 and (said := _in_body(body, member)):
                return f"{said} ({address})"
    return in_header


def _connection(target: Target, tls: ssl.SSLContext | None) -> HTTPConnection:
    if tls is not None:
        return HTTPSConnection(target.host, target.port, context=tls)
    return HTTPConnection(target.host, target.port)


def _base_of(target: Target, protocol: type[Protocol]) -> str:
    """Return the path below which all of a server's addresses are: nearly always none."""
    path = target.path.partition("?")[0]
    if "/v1/" in path:
        return path.partition("/v1/")[0]
    endings = (end for end in protocol.paths if "*" not in end and fnmatchcase(path, f"*{end}"))
    return path.removesuffix(max(endings, key=len, default=path))


def _in_body(body: bytes, member: str) -> str | None:
    try:
        found = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return None
    said = found.get(member) if isinstance(found, Mapping) else None
    return said.strip()[:_SHOWN] if isinstance(said, str) else None


def _in_header(answer: HTTPResponse) -> str | None:
    """Return a version that a header names: one of its own, or that of the program that answers."""
    for name, said in answer.getheaders():
        if _OF_A_VERSION.fullmatch(name) or (name.lower() == "server" and "/" in said):
            return f"{said[:_SHOWN]} (header {name.lower()})"
    return None
