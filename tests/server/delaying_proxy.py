"""A TCP proxy that holds back what it passes on, on each way, as a network far away would."""

import asyncio
import contextlib
import threading
import time
from typing import NamedTuple, Self
from urllib.parse import urlsplit


class Held(NamedTuple):
    """What was passed on at once: when it was read and written, ns of the clock of all stamps; `there`: to the server.

    link: the number of the connection
    """

    link: int
    there: bool
    data: bytes
    read: int
    written: int


class DelayingProxy:
    """Forwards to `upstream`, a URL, inside a `with` block; its own URL is `url`, and `log` is what it held back."""

    def __init__(self, upstream: str, delay_s: float) -> None:
        parts = urlsplit(upstream)
        self._upstream, self._delay_s = (parts.hostname, parts.port), delay_s
        self._loop = asyncio.new_event_loop()
        self._links = 0
        self.log: list[Held] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _serve(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(_cancel_all())

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._links += 1
        link = self._links
        far_reader, far_writer = await asyncio.open_connection(*self._upstream)
        there, back = (
            self._pump(link, reader, far_writer, there=True),
            self._pump(link, far_reader, writer, there=False),
        )
        await asyncio.gather(there, back)

    async def _pump(
        self, link: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, there: bool
    ) -> None:
        """Pass on each read when its time has come; what comes meanwhile is read meanwhile."""
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                read = time.perf_counter_ns()

                def write(data: bytes = data, read: int = read) -> None:
                    self.log.append(Held(link, there, data, read, time.perf_counter_ns()))
                    writer.write(data)

                self._loop.call_later(self._delay_s, write)
        self._loop.call_later(self._delay_s, writer.close)


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
