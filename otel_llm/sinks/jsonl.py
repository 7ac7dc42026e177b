"""Records as lines of JSON, one a line: what `jq`, a notebook or another process reads."""

from collections.abc import Mapping, Sequence
from typing import IO, Any

from otel_llm.record import to_json
from otel_llm.sinks import Ended

__all__ = ["JsonLines"]


class JsonLines:
    """A sink that writes to a binary file it does not own, and flushes it after every call."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def take(self, ended: Sequence[Ended]) -> None:
        self._file.write(b"".join(to_json(call.record) + b"\n" for call in ended))
        self._file.flush()

    def close(self, report: Mapping[str, Any] | None = None) -> None:
        self._file.flush()
