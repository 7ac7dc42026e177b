"""A part as a running process: start, wait until it answers, stop, and its log when something went wrong."""

import functools
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.errors import ToolsError
from tools.waiting import until

READY_S = 90.0
STOP_S = 10.0
ANSWER_S = 2.0
LOG_LINES = 20


class PartError(ToolsError):
    """A part ended, or never answered, while it was meant to run."""


class PartProcess(ABC):
    """One part on loopback. Its addresses stay the same over `restart`, so that its clients find it again.

    `data` is a folder of its own: configuration, log and what the part stores. Call `start` from the main thread: on
    Linux the part is tied to the thread that started it, and dies with it even when that is killed.
    """

    name: str
    ready_url: str  # answers GET with a status below 400 as soon as the part can be used

    def __init__(self, data: Path) -> None:
        self.data = data
        self.log = data / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        data.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def command(self) -> list[str]:
        """The command line, the executable's path first."""

    def environment(self) -> dict[str, str] | None:
        """The whole environment of the process; None for our own."""
        return None

    def answers(self) -> bool:
        """Whether it can be used."""
        return _answers(self.ready_url)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self, ready_s: float = READY_S) -> Self:
        """Start it and return as soon as it answers, within `ready_s` seconds."""
        if self.running:
            raise RuntimeError(f"{self.name} runs already, as process {self.pid}")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_tied_to_us(), *self.command()],
                cwd=self.data,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop the parts in order
            )
        try:
            self._wait_until_ready(ready_s)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> int | None:
        """Ask it to end, insist after 10 s; its exit status, negative when a signal ended it."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int | None:
        """End it as a crash would, with no chance to flush anything."""
        return self._end(signal.SIGKILL)

    def restart(self, ready_s: float = READY_S) -> None:
        """Stop it if it runs, and start it again on the same addresses and data."""
        self.stop()
        self.start(ready_s)

    def log_tail(self, lines: int = LOG_LINES) -> str:
        """The last lines it wrote, to be shown when it failed."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(f"  {self.name}| {line}" for line in text.splitlines()[-lines:])

    def check(self) -> None:
        """Raise PartError, with the end of the log, when it no longer runs."""
        if not self.running:
            status = "nothing" if self._process is None else f"exit status {self._process.returncode}"
            raise PartError(f"{self.name} to run", status, f"read {self.log}, which ends in:\n{self.log_tail()}")

    def _wait_until_ready(self, ready_s: float) -> None:
        until(lambda: not self.running or self.answers(), ready_s)
        self.check()  # before trusting an answer: a part that found its port taken ends, and another one answers
        if not self.answers():
            raise PartError(
                f"{self.name} to answer {self.ready_url} within {ready_s:g} s",
                "no answer",
                f"read {self.log}, which ends in:\n{self.log_tail()}",
            )

    def _end(self, how: signal.Signals) -> int | None:
        process = self._process
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_S)
        return process.returncode

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _answers(url: str) -> bool:
    # No proxy from the environment stands between us and loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=ANSWER_S):
            return True
    except (OSError, ValueError, urllib.error.URLError):
        return False


@functools.cache
def _tied_to_us() -> tuple[str, ...]:
    """What runs a command so that the kernel ends it when we are killed; nothing where the system has no such thing."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return ()
    described = subprocess.run([setpriv, "--help"], capture_output=True, timeout=ANSWER_S, check=False).stdout
    return (setpriv, "--pdeathsig", "KILL", "--") if b"--pdeathsig" in described else ()
