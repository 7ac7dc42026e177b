"""A WebSocket server that misbehaves on request: what it does stands in the path at which it is opened."""

import asyncio
import ssl
import threading
from collections import Counter
from http import HTTPStatus
from typing import Any, Self

import orjson
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response

__all__ = ["WebSocketServer"]

TOKENS = 5


def _event(kind: str, **members: Any) -> str:
    return orjson.dumps({"type": kind, **members}).decode()


def _done() -> str:
    usage = {"input_tokens": 3, "output_tokens": TOKENS}
    return _event("response.completed", response={"id": "r", "model": "m", "status": "completed", "usage": usage})


async def _whole(socket: ServerConnection) -> None:
    for _ in range(TOKENS):
        await socket.send(_event("response.output_text.delta", delta="a"))
        await asyncio.sleep(0.002)
    await socket.send(_done())


async def _fragments(socket: ServerConnection) -> None:
    for _ in range(TOKENS):
        event = _event("response.output_text.delta", delta="ä")
        await socket.send([event[:20], event[20:]])
        await socket.ping()
    await socket.send(_done())


async def _closes(socket: ServerConnection) -> None:
    await socket.send(_event("response.output_text.delta", delta="a"))
    await socket.close(1011, "out of memory")


async def _error(socket: ServerConnection) -> None:
    error = {"type": "invalid_request_error", "code": "too_long", "message": "the prompt is too long"}
    await socket.send(_event("error", status=400, error=error))


async def _garbage(socket: ServerConnection) -> None:
    await socket.send(_event("response.output_text.delta", delta="a"))
    socket.transport.write(b"\x83\x00")
    await socket.wait_closed()


async def _not_json(socket: ServerConnection) -> None:
    await socket.send("<html>")
    await socket.wait_closed()


async def _cuts(socket: ServerConnection) -> None:
    await socket.send(_event("response.output_text.delta", delta="a"))
    socket.transport.abort()


async def _late(socket: ServerConnection) -> None:
    """Say something that belongs to no answer behind one, in the same write."""
    await _whole(socket)
    socket.transport.write(Frame(Opcode.TEXT, b'{"type": "rate_limits.updated"}').serialize(mask=False))


async def _once(socket: ServerConnection) -> None:
    """Close in order when a second request has come."""
    if socket.asked > 1:  # type: ignore[attr-defined]  # ours
        await socket.close(1001, "going away")
    else:
        await _whole(socket)


async def _stalls(socket: ServerConnection) -> None:
    await socket.send(_event("response.output_text.delta", delta="a"))
    await socket.wait_closed()


_BEHAVIOURS = {
    "whole": _whole, "fragments": _fragments, "closes": _closes, "error": _error, "garbage": _garbage,
    "not_json": _not_json, "cuts": _cuts, "late": _late, "once": _once, "stalls": _stalls,
}  # fmt: skip


class WebSocketServer:
    """Runs in a thread. asked: the messages that came; opened: handshakes by path; headers: of the latest one."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.port = 0
        self.asked = list[dict[str, Any]]()
        self.opened = Counter[str]()
        self.headers: dict[str, str] = {}
        self.close_codes = list[int | None]()

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def url(self, behaviour: str) -> str:
        return f"{'ws' if self._tls is None else 'wss'}://127.0.0.1:{self.port}/{behaviour}/v1/responses"

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with serve(self._speak, "127.0.0.1", 0, ssl=self._tls, process_request=self._admit) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            self._ready.set()
            await self._stop.wait()

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        self.headers = {name.lower(): value for name, value in request.headers.raw_items()}
        if request.path.startswith("/refuses"):
            return socket.respond(HTTPStatus.UNAUTHORIZED, "no such key\n")
        return None

    async def _speak(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        behaviour = socket.request.path.split("/")[1]
        self.opened[behaviour] += 1
        socket.asked = 0  # type: ignore[attr-defined]  # ours
        async for message in socket:
            self.asked.append(orjson.loads(message))
            socket.asked += 1  # type: ignore[attr-defined]  # ours
            await _BEHAVIOURS[behaviour](socket)
        self.close_codes.append(socket.close_code)
