"""The simulated server on a socket: on a loop that runs already, or in a thread of this process."""

import asyncio
import threading
from dataclasses import replace
from typing import Any, Self

from otel_llm.errors import ConfigError
from otel_llm.sim.behaviour import Behaviour
from otel_llm.sim.client_connection import ClientConnection
from otel_llm.sim.service import Service
from otel_llm.sim.truth import Counters, SentRow, TruthLog
from otel_llm.wire.loop import new_loop

__all__ = ["Listening", "SimServer"]


class Listening:
    """A service with its socket. `open` makes it and `close` ends it, both on the loop that serves."""

    def __init__(self, service: Service, server: asyncio.Server, connections: set[ClientConnection], url: str) -> None:
        self.service, self.url = service, url
        self._server, self._connections = server, connections

    @classmethod
    async def open(cls, behaviour: Behaviour, log: TruthLog, host: str = "127.0.0.1", port: int = 0) -> Self:
        """Listen on `port`; 0 chooses a free one. Raises ConfigError for an address that cannot be used."""
        if not 0 <= port <= 65535:  # the system would take it modulo 65536
            log.close()
            raise ConfigError(f"an address to listen on as {host}:{port}", port, "choose a --port of 0 to 65535")
        loop = asyncio.get_running_loop()
        service = Service(behaviour, log, loop)
        connections: set[ClientConnection] = set()
        try:
            server = await loop.create_server(
                lambda: ClientConnection(service.answer, connections), host, port, backlog=4096
            )
        except (OSError, OverflowError) as error:
            service.close()
            raise ConfigError(f"an address to listen on as {host}:{port}", error, "choose another --port") from None
        name = f"[{host}]" if ":" in host else host
        return cls(service, server, connections, f"http://{name}:{server.sockets[0].getsockname()[1]}")

    async def close(self) -> None:
        """Stop listening, cut every connection, and log the answers that this breaks off."""
        self._server.close()
        for connection in list(self._connections):
            connection.cut()
            await connection.gone.wait()
        self.service.close()


class SimServer:
    """The simulated server in a thread of this process.

    with SimServer(Behaviour(ttft_ms=200, itl_ms=20)) as sim:
        ask(sim.url + "/v1/chat/completions")
        sim.log[0]["first_token"]

    It shares the interpreter with the client: while the client computes, writes are late, and the log says by how
    much. To measure speed, take `SimProcess`.
    """

    def __init__(self, behaviour: Behaviour | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._behaviour, self._host, self._port = behaviour or Behaviour(), host, port
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="otel-llm-sim", daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def log(self) -> list[dict[str, Any]]:
        """Rows of the requests that ended, oldest first (see `otel_llm.sim.truth`). An answer that was read to its last
        byte has its row."""
        return [row.as_dict() for row in self._on_loop(lambda: list(self._rows))]

    def stats(self) -> Counters:
        """Return the counts since the start or the last `reset`."""
        counters: Counters = self._on_loop(lambda: replace(self._listening.service.counters))
        return counters

    def reset(self) -> None:
        """Forget every row and count from zero."""
        self._on_loop(self._listening.service.reset)

    @property
    def _rows(self) -> list[SentRow]:
        return self._listening.service.log.rows or []

    def _on_loop(self, ask: Any) -> Any:
        """Return `ask()`, run on the server's loop, between its other tasks."""
        if not self._thread.is_alive():
            return ask()

        async def asked() -> Any:
            return ask()

        return asyncio.run_coroutine_threadsafe(asked(), self._loop).result()

    def _run(self) -> None:
        self._loop = new_loop()
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._listening = await Listening.open(self._behaviour, TruthLog(keep=True), self._host, self._port)
        self.url = self._listening.url
        self._ready.set()
        await self._stop.wait()
        await self._listening.close()
