"""The server's side of one run by its metrics, from the first look to the report."""

from collections.abc import Sequence
from typing import Any, Self

import msgspec

from otel_llm.load.figures.stats import Stats
from otel_llm.load.server.accounts import hold_against
from otel_llm.load.server.client_account import ClientAccount
from otel_llm.load.server.said import server_report
from otel_llm.load.server.scrape import Scrape
from otel_llm.load.server.scraper import Scraper
from otel_llm.load.server.source import Source
from otel_llm.measures import Facts

__all__ = ["ScrapedServer"]

_HURRIED_S = 0.5


class ScrapedServer:
    """Looks at sources while a run goes on, or takes what a run file kept; see `ServerSide`."""

    def __init__(self, sources: Sequence[Source] = ()) -> None:
        self._scraper = Scraper(sources) if sources else None
        self._read: list[Scrape] = []
        self._client = ClientAccount()

    def with_scrapes(self, scrapes: Sequence[bytes]) -> Self:
        """Take what a run file kept, as JSON."""
        self._read += [msgspec.json.decode(scrape, type=Scrape) for scrape in scrapes]
        return self

    def start(self) -> None:
        """Look for the first time."""
        if self._scraper is not None:
            self._scraper.start()

    def gather(self) -> list[Scrape]:
        """Return the looks since the last call."""
        return [] if self._scraper is None else self._scraper.gather()

    def stop(self, *, hurried: bool) -> list[Scrape]:
        """Look for the last time, and return the looks since `gather`. hurried: somebody waits for the end"""
        if self._scraper is None:
            return []
        return self._scraper.stop(_HURRIED_S) if hurried else self._scraper.stop()

    def close(self) -> None:
        """Leave no process behind."""
        if self._scraper is not None:
            self._scraper.close()

    def add(self, facts: Sequence[Facts]) -> None:
        """Count requests that ended, where there is an account to hold them against."""
        if self._scraper is not None or self._read:
            self._client.add(facts)

    def report(self, stats: Stats) -> dict[str, Any] | None:
        """Return what the report says of the server; None where nobody looked."""
        scrapes = self._read if self._scraper is None else self._scraper.scrapes
        if not scrapes:
            return None
        found = server_report(scrapes, stats.output_tokens)
        values = {name: stats.values[name].all() for name in ("time_to_first_token", "inter_token_latency")}
        return found | {"accounts": hold_against(found, self._client, values)}
