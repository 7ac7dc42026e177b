"""A client of sockets and nothing else, which stamps each read: what the server says is checked against it."""

import json
import socket
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import httptools

from otel_llm.clock import now_ns


@dataclass
class Heard:
    """An answer as it came in. `reads` are (ns, bytes of the body so far)."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    reads: list[tuple[int, int]] = field(default_factory=list)
    complete: bool = False
    sent_ns: int = 0
    head_ns: int = 0
    keep_alive: bool = False

    def events(self) -> list[bytes]:
        """The data of each event."""
        blocks = self.body.replace(b"\r\n", b"\n").split(b"\n\n")
        return [block.removeprefix(b"data: ") for block in blocks if block.startswith(b"data: ")]

    def chunks(self) -> list[dict[str, Any]]:
        return [json.loads(event) for event in self.events() if event != b"[DONE]"]

    def texts(self, name: str = "content") -> list[str]:
        """What each chunk brought in a field of its delta, chunks without it left out."""
        deltas = [choice["delta"] for chunk in self.chunks() for choice in chunk["choices"]]
        return [delta[name] for delta in deltas if delta.get(name)]

    def arrivals(self) -> list[int]:
        """When each event was complete, in ns, comments left out."""
        ends, at = [], 0
        for block in self.body.replace(b"\r\n", b"\n").split(b"\n\n")[:-1]:
            at += len(block) + 2
            if block.startswith(b"data: "):
                ends.append(at)
        return [next(ns for ns, size in self.reads if size >= end) for end in ends]


class _Parser:
    def __init__(self) -> None:
        self.heard = Heard()
        self.at = 0
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.heard.headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        self.heard.status, self.heard.head_ns = self.parser.get_status_code(), self.at
        self.heard.keep_alive = self.parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        self.heard.body += body
        self.heard.reads.append((self.at, len(self.heard.body)))

    def on_message_complete(self) -> None:
        self.heard.complete = True


class Client:
    """One connection. `ask` returns when the answer is over or the connection is."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        self.socket = socket.create_connection((address.hostname, address.port), timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def send(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, version: str = "1.1"
    ) -> int:
        lines = [f"{method} {path} HTTP/{version}", "Host: sim", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        sent = now_ns()
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return sent

    def hear(self) -> Heard:
        parser = _Parser()
        while not parser.heard.complete:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            parser.at = now_ns()
            if not data:
                break
            parser.parser.feed_data(data)
        return parser.heard

    def ask(self, method: str, path: str, body: bytes = b"", **how: Any) -> Heard:
        sent = self.send(method, path, body, **how)
        heard = self.hear()
        heard.sent_ns = sent
        return heard


def ask(
    url: str,
    *,
    path: str = "/v1/chat/completions",
    headers: dict[str, str] | None = None,
    version: str = "1.1",
    **body: Any,
) -> Heard:
    """Ask once on a connection of its own; streamed unless `stream=False`."""
    fields = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}], **body}
    with Client(url) as client:
        return client.ask("POST", path, json.dumps(fields).encode(), headers=headers, version=version)
