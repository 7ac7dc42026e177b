"""Where finished records go. A sink takes records and never gives an error back to who made the call."""

import logging
from collections import Counter
from typing import Protocol

from otel_llm.record import StreamRecord

__all__ = ["Fanout", "Sink"]

_log = logging.getLogger("otel_llm")


class Sink(Protocol):
    """Takes records as calls end. Both methods may be called from any thread."""

    def closed(self, *records: StreamRecord) -> None:
        """Take finished records, one or many."""
        ...

    def close(self) -> None:
        """Write what is still held; nothing comes after."""
        ...


class Fanout:
    """One sink made of several, each kept apart from the others' failures and all of them from the caller.

    errors: failed calls by sink class name. The first failure of each sink is logged, the rest are only counted.
    """

    def __init__(self, *sinks: Sink) -> None:
        self.sinks = sinks
        self.errors: Counter[str] = Counter()

    def closed(self, *records: StreamRecord) -> None:
        for sink in self.sinks:
            try:
                sink.closed(*records)
            except Exception:
                self._failed(sink)

    def close(self) -> None:
        for sink in self.sinks:
            try:
                sink.close()
            except Exception:
                self._failed(sink)

    def _failed(self, sink: Sink) -> None:
        name = type(sink).__name__
        self.errors[name] += 1
        if self.errors[name] == 1:
            _log.warning("expected %s to take a record; its further failures are only counted", name, exc_info=True)
