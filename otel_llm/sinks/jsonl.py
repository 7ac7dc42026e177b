"""Records as lines of JSON, one a line: what `jq`, a notebook or another process reads."""

from typing import IO

from otel_llm.record import StreamRecord, to_json

__all__ = ["JsonLines"]


class JsonLines:
    """A sink that writes to a binary file it does not own, and flushes it after every call."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def closed(self, *records: StreamRecord) -> None:
        self._file.write(b"".join(to_json(record) + b"\n" for record in records))
        self._file.flush()

    def close(self) -> None:
        self._file.flush()
