"""What every load generator here is asked, and what is read of what it says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tools.environments import Environment

__all__ = ["Load", "Reading", "Tool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A closed loop: `streams` answers under way at any time, `requests` in all, of `tokens` tokens each."""

    url: str  # of the server, without a path
    streams: int
    requests: int
    tokens: int
    model: str = "sim"
    prompt: str = "hello " * 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a tool reports, in seconds; None for what it does not.

    tokens:    of all answers together
    said_late: what it says about having been late itself, "" for nothing
    """

    ttft_mean: float | None = None
    ttft_p99: float | None = None
    itl_p50: float | None = None
    itl_p99: float | None = None
    tokens: int | None = None
    said_late: str = ""


class Tool(Protocol):
    """One load generator. Everything that it writes goes into the folder that it is given, in which it runs.

    environment: where it is installed; None for what this one's own can run
    """

    @property
    def name(self) -> str: ...

    @property
    def environment(self) -> Environment | None: ...

    def command(self, load: Load, folder: Path) -> list[str]:
        """Return its command line, with what it needs written into `folder`."""
        ...

    def read(self, folder: Path, said: str) -> Reading:
        """Read its files, and `said`: its standard output and error."""
        ...
