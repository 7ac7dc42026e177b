"""The figures of a run once more, apart for each group of its requests."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from otel_llm.load.figures.stats import Stats
from otel_llm.measures import Facts
from otel_llm.record import StreamRecord

__all__ = ["Breakdown", "model_of", "turn_of"]

_COUNTS: Final = ("sent", "succeeded", "failed", "cancelled", "closed_early", "errors")

K = TypeVar("K", int, str)


def turn_of(record: StreamRecord) -> int | None:
    """Return which turn of its conversation a request was, from 1; None outside conversations."""
    return record.turn


def model_of(record: StreamRecord) -> str | None:
    """Return the model that was asked."""
    return record.model


class Breakdown(Generic[K]):
    """The counts and measures of requests by a key. Requests whose key is None are in no group."""

    def __init__(self, name: str, key: Callable[[StreamRecord], K | None]) -> None:
        """name: of the key, in the report"""
        self._name = name
        self._key: Callable[[StreamRecord], K | None] = key
        self._groups: dict[K, Stats] = {}

    def add(self, facts: Sequence[Facts]) -> None:
        """Count requests that ended and collect their values."""
        apart: dict[K, list[Facts]] = {}
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

    def _describe(self, key: K, stats: Stats) -> dict[str, Any]:
        stats.planned = stats.due = stats.ended
        requests = stats.requests()
        counts = {name: requests[name] for name in _COUNTS}
        return {self._name: key, "requests": counts, "measures": stats.measures()}
