"""`otel-llm view`: an OTLP receiver with a live page, or the page of a run file."""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from aiohttp import web

from otel_llm.clock import now_ns
from otel_llm.errors import ConfigError
from otel_llm.receiver.otlp import OtlpServer
from otel_llm.units import parse_seconds
from otel_llm.view.answers import Answers
from otel_llm.view.database import Database, Keep
from otel_llm.view.run_file import RunFileSource
from otel_llm.view.server import page_app
from otel_llm.view.source import Source
from otel_llm.view.store import Store

__all__ = ["add_arguments", "run"]

_HOST: Final = "127.0.0.1"
_PORTS: Final = (("port", 4320, "the page"), ("grpc-port", 4317, "OTLP, gRPC"), ("http-port", 4318, "OTLP, HTTP"))
_SIZES: Final = {"KB": 1e3, "MB": 1e6, "GB": 1e9}
_LEAST: Final = 10_000_000
_LEFT_NS: Final = 10_000_000_000
"""Who has asked nothing for so long has left: a page asks every two seconds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("run_file", nargs="?", type=Path, metavar="RUN", help="show this run file, and receive nothing")
    for option, default, what in (
        ("port", 4320, "the page"),
        ("grpc-port", 4317, "OTLP, gRPC"),
        ("http-port", 4318, "OTLP, HTTP"),
    ):
        about = f"port of {what}; 0 takes a free one (%(default)s)"
        parser.add_argument(f"--{option}", type=int, default=default, metavar="N", help=about)
    parser.add_argument(
        "--file", type=Path, metavar="FILE", help="where what comes is kept (view.db of this user's state)"
    )
    parser.add_argument(
        "--keep", nargs="+", default=["500MB", "24h"], metavar="LIMIT",
        help="how much is kept, by size such as 500MB, by age such as 24h, or both (500MB 24h)",
    )  # fmt: skip
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument(
        "--beside", type=Path, metavar="RUN",
        help="what `perf --view` does: show a run that goes on and receive too, at low priority, until stdin ends",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM, then return 0. Raises ConfigError where it cannot begin."""
    keep = _keep_of(args.keep)
    if args.beside is not None:
        os.nice(15)  # the run beside it is to have the processor
    with ExitStack() as stack:
        asyncio.run(_View(args, keep, stack).serve())
    return 0


class _View:
    """One `otel-llm view`, from its start to its end."""

    def __init__(self, args: argparse.Namespace, keep: Keep, stack: ExitStack) -> None:
        self._args, self._keep, self._stack = args, keep, stack
        self._asked_ns = 0
        self._ended = asyncio.Event()
        self._store: Store | None = None
        self._otlp: OtlpServer | None = None

    async def serve(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, self._ended.set)
        shown = None if self._args.run_file is None else RunFileSource(self._args.run_file)
        listening = self._listen("--port", self._args.port)
        url = f"http://{_HOST}:{listening.getsockname()[1]}/"
        runner = web.AppRunner(page_app(self._answers(shown), self._about, self._looked), access_log=None)
        await runner.setup()
        try:
            await web.SockSite(runner, listening).start()
            self._say(url)
            if self._args.open:
                webbrowser.open(url)
            if self._args.beside is not None:
                threading.Thread(target=_when_stdin_ends, args=(loop, self._run_ended), daemon=True).start()
            await self._until_ended()
        finally:
            await runner.cleanup()

    async def _until_ended(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), 1)
            if self._store is not None:
                self._store.refresh()

    def _answers(self, run_file: RunFileSource | None) -> Answers:
        """Open what is shown. Raises ConfigError."""
        if run_file is not None:
            return Answers([run_file])
        sources: list[Source] = []
        if self._args.beside is not None:
            folder = self._stack.enter_context(TemporaryDirectory(prefix="otel-llm-view-"))
            database = Database(Path(folder) / "view.db", self._keep)
            sources.append(RunFileSource(self._args.beside, wait=True))
        else:
            database = Database(self._args.file or _usual_file(), self._keep)
        self._stack.callback(database.close)
        self._store = Store(database)
        self._otlp = self._receive(self._store)
        return Answers([self._store, *sources], self._store.histograms, self._store.engines)

    def _receive(self, store: Store) -> OtlpServer:
        """Start the receiver. Raises ConfigError where a port is taken."""
        ports = {}
        for option in ("--grpc-port", "--http-port"):
            with self._listen(option, getattr(self._args, option[2:].replace("-", "_"))) as tried:
                ports[option] = tried.getsockname()[1]
        otlp = OtlpServer(store, host=_HOST, grpc_port=ports["--grpc-port"], http_port=ports["--http-port"])
        try:
            return self._stack.enter_context(otlp)
        except OSError as error:  # taken since a moment ago
            raise ConfigError("free ports for OTLP", error, "choose others: --grpc-port 0 --http-port 0") from None

    def _listen(self, option: str, port: int) -> socket.socket:
        """Return a socket that listens, beside a run on a free port where that one is taken. Raises ConfigError."""
        found = socket.socket()
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((_HOST, port))
            found.listen(64)
        except (OSError, OverflowError) as error:
            found.close()
            if self._args.beside is not None and port:
                return self._listen(option, 0)
            said = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigError(f"a free port for {option} {port}", said, f"choose another, or {option} 0") from None
        return found

    def _say(self, url: str) -> None:
        lines = [f"page  {url}"]
        if self._otlp is not None:
            lines.append(f"OTLP  {self._otlp.grpc_endpoint} (gRPC)  {self._otlp.http_endpoint} (HTTP)")
        if self._store is not None and self._args.beside is None:
            lines += [
                f"kept  {self._store.path}, {' and '.join(self._args.keep)} at most",
                f"next  OTEL_EXPORTER_OTLP_ENDPOINT={self._otlp and self._otlp.grpc_endpoint} otel-llm run app.py",
                "      Ctrl-C ends it",
            ]
        elif self._args.run_file is not None:
            lines.append(f"shows {self._args.run_file}; Ctrl-C ends it")
        print("\n".join(lines), flush=True)

    def _about(self) -> Mapping[str, Any]:
        """Return what the page says of this program."""
        return {
            "grpc": self._otlp and self._otlp.grpc_endpoint,
            "http": self._otlp and self._otlp.http_endpoint,
            "file": str(self._args.run_file or self._args.beside or (self._store and self._store.path)),
            "live": self._store is not None,
            "spans": self._store.spans if self._store else None,
            "points": self._store.points if self._store else None,
            "quiet": (now_ns() - self._store.latest_ns) / 1e9 if self._store and self._store.latest_ns else None,
        }

    def _looked(self) -> None:
        self._asked_ns = now_ns()

    def _run_ended(self) -> None:
        """The run beside it has ended: stay as long as somebody looks."""
        loop = asyncio.get_running_loop()
        if now_ns() - self._asked_ns > _LEFT_NS:
            self._ended.set()
        else:
            loop.call_later(1, self._run_ended)


def _usual_file() -> Path:
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "otel_llm"
    try:
        state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError("a folder to keep things in", error, "name a file: --file") from None
    return state / "view.db"


def _keep_of(limits: Sequence[str]) -> Keep:
    """Return what `--keep` says; what it does not limit is limited as usual. Raises ConfigError."""
    size, seconds = 500e6, 86400.0
    for limit in limits:
        number, unit = limit[:-2], limit[-2:].upper()
        try:
            if unit in _SIZES:
                size = float(number) * _SIZES[unit]
            elif limit.endswith("d"):
                seconds = float(limit[:-1]) * 86400
            else:
                seconds = parse_seconds(limit)
        except ValueError:
            size = -1
        if not size >= _LEAST or not seconds > 0:
            raise ConfigError("--keep such as 500MB (10MB at least), 24h or 7d", limit)
    return Keep(int(size), seconds)


def _when_stdin_ends(loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    with contextlib.suppress(RuntimeError):  # the loop was closed before
        loop.call_soon_threadsafe(then)
