"""Where calls that ended go: one protocol for the run file, telemetry, JSON lines, and whatever a user adds."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from otel_llm.measures import Facts
from otel_llm.record import StreamRecord

__all__ = ["Content", "Ended", "Fanout", "Sink"]

_log = logging.getLogger("otel_llm")


class Content(Protocol):
    """The events of an answer."""

    def events(self) -> list[bytes]:
        """Return the data of each event, in order."""
        ...

    def to_json(self) -> str:
        """Return the events as JSON, packed: `otel_llm.wire.repeats.Content.to_json` says how."""
        ...


class Ended(NamedTuple):
    """A call that ended: its record with its measures, and what else a sink may need.

    body:    the request body that was sent; None where it is unknown, or must not be kept
    content: the events of the answer; None likewise
    met:     whether the call met the SLO; None where there is none
    """

    facts: Facts
    body: bytes | None = None
    content: Content | None = None
    met: bool | None = None

    @property
    def record(self) -> StreamRecord:
        """The record of the call."""
        return self.facts.record

    @classmethod
    def of(cls, *records: StreamRecord) -> "list[Ended]":
        """Return records as calls that ended, all measured at once."""
        return [cls(facts) for facts in Facts.of(*records)]


class Sink(Protocol):
    """Takes calls as they end. Both methods may be called from any thread; `close` is called last, and once."""

    def take(self, ended: Sequence[Ended]) -> None:
        """Take calls that ended, one or many."""
        ...

    def close(self, report: Mapping[str, Any] | None = None) -> Mapping[str, Any] | None:
        """Write what is still held, nothing comes after.

        report: of the load run that is over, None where there was none. Returns what became of the calls, by name, for
        the report's `telemetry`; None where there is nothing to say.
        """
        ...


class Fanout:
    """One sink made of several, each kept apart from the others' failures and all of them from the caller.

    errors: failed calls by sink class name. The first failure of each sink is logged, the rest are only counted.
    """

    def __init__(self, *sinks: Sink) -> None:
        self.sinks = sinks
        self.errors: Counter[str] = Counter()

    def take(self, ended: Sequence[Ended]) -> None:
        for sink in self.sinks:
            try:
                sink.take(ended)
            except Exception:
                self._failed(sink)

    def close(self, report: Mapping[str, Any] | None = None) -> Mapping[str, Any] | None:
        found: dict[str, Any] = {}
        for sink in self.sinks:
            try:
                found |= sink.close(report) or {}
            except Exception:
                self._failed(sink)
        return found or None

    def _failed(self, sink: Sink) -> None:
        name = type(sink).__name__
        self.errors[name] += 1
        if self.errors[name] == 1:
            _log.warning("%s could not take a call; its further failures are only counted", name, exc_info=True)
