"""The run file and the other sinks while a run lasts and at its end. A full disk or a silent receiver ends no run."""

from collections.abc import Callable, Mapping, Sequence
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

import msgspec

from otel_llm.clock import now_ns
from otel_llm.load.coordinator.interrupts import Interrupts
from otel_llm.load.figures.stats import Stats
from otel_llm.load.merge.shard_account import ShardAccount
from otel_llm.load.show.live import log
from otel_llm.sinks import Sink
from otel_llm.sinks.sqlite import RunFile

if TYPE_CHECKING:
    from otel_llm.load.server.scrape import Scrape

__all__ = ["Delivery"]

_TURN_S: Final = 0.05
_PATIENCE_NS: Final = 3_000_000_000
_HURRIED_NS: Final = 300_000_000


class Delivery:
    """The sinks of a run. One that fails gets nothing more, and the run goes on.

    sinks:     those that have not failed
    abandoned: whether a sink is still busy with its end, in a thread that nobody waits for
    """

    def __init__(self, file: RunFile, others: Sequence[Sink], interrupts: Interrupts, stats: Stats) -> None:
        self._file, self._interrupts, self._stats = file, interrupts, stats
        self.sinks: tuple[Sink, ...] = (file, *others)
        self._failed: list[tuple[Sink, Exception]] = []
        self.abandoned = False

    @property
    def failures(self) -> list[str]:
        """A sentence for each sink that failed, with what it lacks by now."""
        return [self._sentence(sink, error) for sink, error in self._failed]

    def attempt(self, sink: Sink, step: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call a step of a sink; return its result, None when it failed."""
        try:
            return step(*arguments, **options)
        except Exception as error:  # whatever a sink raises, the run is worth more
            self.drop(sink, error)

    def drop(self, sink: Sink, error: Exception) -> None:
        """Give nothing more to a sink that failed."""
        self.sinks = tuple(other for other in self.sinks if other is not sink)
        self._failed.append((sink, error))
        log.error(self._sentence(sink, error))

    def commit(self, *, now: bool = False) -> None:
        """Put on disk what the run file holds back, if it is time; with `now`, in any case."""
        if self._file in self.sinks:
            self.attempt(self._file, self._file.commit, now=now)

    def add_account(self, account: ShardAccount) -> None:
        """Give the run file what this shard knows beside its records."""
        if self._file in self.sinks:
            self.attempt(self._file, self._file.add_account, msgspec.json.encode(account))

    def add_scrapes(self, scrapes: "Sequence[Scrape]") -> None:
        """Give the run file what the server's metrics said."""
        if scrapes and self._file in self.sinks:
            rows = [(each.url, each.at_ns, each.engine, each.error, msgspec.to_builtins(each)) for each in scrapes]
            self.attempt(self._file, self._file.add_scrapes, rows)

    def close_others(self, report: Mapping[str, Any]) -> dict[str, Any] | None:
        """Close all but the run file; return what became of the calls that they were given.

        An interrupted run waits for them for 3 s, and a second interrupt cuts that short.
        """
        found: dict[str, Any] = {}

        def close(sink: Sink) -> None:
            found.update(self.attempt(sink, sink.close, report) or {})

        others = [sink for sink in self.sinks if sink is not self._file]
        threads = [Thread(target=close, args=(sink,), daemon=True) for sink in others]
        for thread in threads:
            thread.start()
        since: int | None = None
        while busy := [thread for thread in threads if thread.is_alive()]:
            busy[0].join(_TURN_S)
            if self._interrupts.asked():
                since = since or now_ns()
                if now_ns() - since > (_HURRIED_NS if self._interrupts.hurried() else _PATIENCE_NS):
                    self.abandoned = True
                    break
        return dict(found) or None

    def close_file(self, report: Mapping[str, Any]) -> None:
        """Write the report into the run file and close it."""
        if self._file in self.sinks:
            self.attempt(self._file, self._file.close, report)

    def _sentence(self, sink: Sink, error: Exception) -> str:
        if sink is self._file:
            return f"the run file holds {self._file.written:,} of {self._stats.ended:,} requests: {error}"
        return f"{type(sink).__name__} holds not all requests: {type(error).__name__}: {error}"
