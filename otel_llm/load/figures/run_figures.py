"""Every figure of a run, made of its records: while it goes on, from its run file, and from those of its shards."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from otel_llm.load.asked import Asked
from otel_llm.load.figures.breakdown import KEYS, Breakdown
from otel_llm.load.figures.first_tokens import FirstTokens
from otel_llm.load.figures.health import Health
from otel_llm.load.figures.lengths import LengthsFound
from otel_llm.load.figures.machines import Machine, client_of_all
from otel_llm.load.figures.slo import Slo
from otel_llm.load.figures.stats import Stats
from otel_llm.load.figures.tail import Tail
from otel_llm.load.figures.verdict import ClientError
from otel_llm.measures import Facts

__all__ = ["RunFigures"]


class RunFigures:
    """Collects them. What records do not say (`stats.lose`, `stats.skip`, `stats.due`) is set by who knows it."""

    def __init__(
        self,
        planned: int,
        *,
        asked: Callable[[int], Asked] | None = None,
        slo: Slo | None = None,
        groups: Iterable[str] = tuple(KEYS),
        level: bool = True,
    ) -> None:
        """
        planned: requests that were to be sent
        asked:   returns the lengths that a request of that number asked for; None where none were asked for
        groups:  by what requests may differ of each other (`breakdown.KEYS`)
        level:   whether the same load was asked for all the time: else there is no steady part
        """
        self.stats = Stats(planned)
        self.slo, self._level = slo, level
        self.client, self._first_tokens, self._tail = ClientError(), FirstTokens(), Tail()
        self._lengths = None if asked is None else LengthsFound(asked)
        self._groups = [Breakdown(name) for name in groups]

    def add(self, facts: Sequence[Facts]) -> Sequence[bool | None]:
        """Take requests that ended; return, for each, whether it met the SLO, None where there is none."""
        self.stats.add(facts)
        return self.add_counted(facts)

    def add_counted(self, facts: Sequence[Facts]) -> Sequence[bool | None]:
        """Take requests that `stats` has already, as `add` does."""
        met = [None] * len(facts) if self.slo is None else self.slo.add(facts)
        self.client.add(facts)
        self._first_tokens.add(facts)
        self._tail.add(facts)
        if self._lengths is not None:
            self._lengths.add(facts)
        for groups in self._groups:
            groups.add(facts)
        return met

    def report(self, health: Health, start_ns: int | None, machines: Sequence[Machine] = ()) -> dict[str, Any]:
        """Return the members of a report that figures are of.

        start_ns: of the run, on the clock of the records; machines: those that shared it, none where it was one
        """
        apart = [machine.report(start_ns) for machine in machines] or None
        client = self.client.report(health, start_ns, self.stats.values["inter_token_latency"])
        return {
            **self.stats.summary(),
            **({} if self._level else {"steady": None}),
            "lengths": None if self._lengths is None else self._lengths.report(),
            **{f"by_{name}": None for name in KEYS},
            **{f"by_{groups.name}": groups.summary() for groups in self._groups},
            "first_token": self._first_tokens.report(),
            "tail": self._tail.report(),
            "slo": self.slo_report(),
            "client": client if apart is None else client_of_all(client, apart),
            "machines": apart,
        }

    def slo_report(self) -> dict[str, Any] | None:
        """Return the `slo` of a report."""
        stats = self.stats
        return None if self.slo is None else self.slo.report(max(stats.due - stats.left, 1), stats.duration_s)
