"""A sink that remembers."""

from otel_llm.record import StreamRecord

__all__ = ["CapturingSink"]


class CapturingSink:
    """A sink that keeps every record it is given."""

    def __init__(self) -> None:
        self.records: list[StreamRecord] = []
        self.closes = 0

    def closed(self, *records: StreamRecord) -> None:
        self.records.extend(records)

    def close(self) -> None:
        self.closes += 1
