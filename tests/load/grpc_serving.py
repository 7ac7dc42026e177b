"""What servers by grpcio for the tests have in common: a loop in a thread, a free port, an orderly end."""

import asyncio
import threading
from typing import Any, Self

import grpc

__all__ = ["GrpcServing"]


class GrpcServing:
    """Serves until the block ends what `add_to` adds. credentials: of TLS, None for none"""

    def __init__(self, credentials: Any = None) -> None:
        self._credentials, self._ready = credentials, threading.Event()
        self.port = 0

    def add_to(self, server: Any) -> None:
        """Add the services."""
        raise NotImplementedError(f"{type(self).__name__}.add_to")

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server, where = grpc.aio.server(), "127.0.0.1:0"
        self.add_to(server)
        self.port = (
            server.add_secure_port(where, self._credentials) if self._credentials else server.add_insecure_port(where)
        )
        await server.start()
        self._ready.set()
        await self._stop.wait()
        await server.stop(0)
