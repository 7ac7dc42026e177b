"""A sink that remembers."""

from collections.abc import Mapping, Sequence
from typing import Any

from otel_llm.record import StreamRecord
from otel_llm.sinks import Ended

__all__ = ["CapturingSink"]


class CapturingSink:
    """A sink that keeps every record it is given."""

    def __init__(self) -> None:
        self.records: list[StreamRecord] = []
        self.closes = 0

    def take(self, ended: Sequence[Ended]) -> None:
        self.records.extend(call.record for call in ended)

    def close(self, report: Mapping[str, Any] | None = None) -> None:
        self.closes += 1
