"""The servers that a cell's run talks to: a model server of about 0.2 s an answer, and an OTLP receiver."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Final, Self

from benchmarks.faults.cells import Cell
from otel_llm.testing import RESET, STALL, ScriptedServer
from otel_llm.testing.scripted import Step

__all__ = ["GOOD", "Silent", "closed_port", "model_server", "receiver"]

GOOD: Final = 4
"""Whole answers before the first that a server spoils."""


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


def _event(text: str, finish: str) -> bytes:
    choice = f'{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":{finish}}}'
    return _chunk(f'data: {{"id":"c","model":"m","choices":[{choice}]}}\n\n'.encode())


_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_FIRST: Final = _HEAD + _event("Hi", "null")
_END: Final = _event("", '"stop"') + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
_ANSWERS: Final[dict[str, Sequence[Step]]] = {
    "first token": [0.15, _FIRST, 0.05, _END],
    "middle": [_FIRST, 0.2, _END],
    "draining": [_FIRST, 2.5, _END],
    "exporting": [_FIRST, 0.2, _END],
}
_SPOILED: Final[dict[str, Sequence[Step]]] = {
    "server stalls": [STALL],
    "server resets": [RESET],
    "server answers 500": [b"HTTP/1.1 500 no\r\nContent-Length: 4\r\n\r\noops"],
    "server sends garbage": [b"\x00\xff\x16\x03 no protocol at all\r\n\r\n\x00", 0.05, RESET],
}


class Silent:
    """Takes connections and says nothing: a TLS handshake with it has no end."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def connections(self) -> int:
        """How many connections were accepted so far."""
        return len(self._taken)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for each in (self._listener, *self._taken):
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                self._taken.append(self._listener.accept()[0])
            except OSError:
                return


def model_server(cell: Cell) -> ScriptedServer | Silent:
    """Return the server of a cell, to be entered; it spoils its answers itself where that is the cell's fault."""
    if cell.moment == "connecting":
        return Silent()
    whole = _ANSWERS[cell.moment]
    if (spoiled := _SPOILED.get(cell.fault)) is None:
        return ScriptedServer(whole)
    before: Sequence[Step] = [_FIRST] if cell.moment == "middle" else []
    return ScriptedServer(*[whole] * GOOD, [*before, 0.05, *spoiled])


def closed_port() -> int:
    """Return a port of loopback where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def receiver(cell: Cell) -> Iterator[tuple[str | None, Sequence[Any]]]:
    """Give the base URL of the cell's OTLP receiver, None where it has none, and the requests that reach it."""
    stalls = cell.moment == "exporting" and cell.fault != "no OTLP receiver"
    with ScriptedServer([STALL]) if stalls else nullcontext() as server:
        if server is not None:
            yield server.url, server.requests
        else:
            yield (f"http://127.0.0.1:{closed_port()}" if cell.moment == "exporting" else None), []
