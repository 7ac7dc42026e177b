"""The figures of a run once more, apart for each group of its requests."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from otel_llm import conventions
from otel_llm.load.figures.stats import Stats
from otel_llm.measures import Facts
from otel_llm.record import StreamRecord

__all__ = ["KEYS", "Breakdown"]

_COUNTS: Final = ("sent", "succeeded", "failed", "cancelled", "closed_early", "errors")

KEYS: Final[Mapping[str, Callable[[StreamRecord], int | str | None]]] = {
    "turn": lambda record: record.turn,
    "model": lambda record: record.model,
    "class": lambda record: record.attributes.get(conventions.REQUEST_CLASS),
    "endpoint": lambda record: record.endpoint,
}
"""What requests are grouped by: which turn of its conversation one was, from 1; the model it asked; its class; where it
was sent.

The report has the figures of each group as `by_turn`, `by_model`, `by_class` and `by_endpoint`.
"""


class Breakdown:
    """The counts and measures of requests by one of `KEYS`. Requests whose key is None are in no group."""

    def __init__(self, name: str) -> None:
        self.name, self._key = name, KEYS[name]
        self._groups: dict[Any, Stats] = {}

    def add(self, facts: Sequence[Facts]) -> None:
        """Count requests that ended and collect their values."""
        apart: dict[int | str, list[Facts]] = {}
        for fact in facts:
            if (key := self._key(fact.record)) is not None:
                apart.setdefault(key, []).append(fact)
        for key, group in apart.items():
            if key not in self._groups:
                self._groups[key] = Stats(0)
            self._groups[key].add(group)

    def summary(self) -> list[dict[str, Any]] | None:
        """Return the key, the requests and the measures of each group, by its key; None where there are no two."""
        if len(self._groups) < 2:
            return None
        return [self._describe(key, self._groups[key]) for key in sorted(self._groups)]

    def _describe(self, key: int | str, stats: Stats) -> dict[str, Any]:
        stats.planned = stats.due = stats.ended
        requests = stats.requests()
        counts = {name: requests[name] for name in _COUNTS}
        return {self.name: key, "requests": counts, "measures": stats.measures()}
