"""The server's side of one run, looked at or not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from otel_llm.load.figures.stats import Stats
from otel_llm.measures import Facts

if TYPE_CHECKING:
    from otel_llm.load.server.scrape import Scrape

__all__ = ["NotLookedAt", "ServerSide"]


class ServerSide(Protocol):
    """Looks at the server while the run goes on, counts what this client does, and holds both against each other."""

    def start(self) -> None:
        """Look for the first time."""

    def gather(self) -> "list[Scrape]":
        """Return the looks since the last call."""

    def stop(self, *, hurried: bool) -> "list[Scrape]":
        """Look for the last time, and return the looks since `gather`. hurried: somebody waits for the end"""

    def close(self) -> None:
        """Leave no process behind."""

    def add(self, facts: Sequence[Facts]) -> None:
        """Count requests that ended, where there is an account to hold them against."""

    def report(self, stats: Stats) -> dict[str, Any] | None:
        """Return what the report says of the server; None where nobody looked."""


class NotLookedAt:
    """No server is looked at: nothing is started, nothing counted, nothing reported."""

    def start(self) -> None: ...
    def gather(self) -> "list[Scrape]":
        return []

    def stop(self, *, hurried: bool) -> "list[Scrape]":
        return []

    def close(self) -> None: ...
    def add(self, facts: Sequence[Facts]) -> None: ...
    def report(self, stats: Stats) -> None: ...
