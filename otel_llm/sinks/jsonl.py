"""Records as JSON lines, one call a line: what `jq`, a notebook or another process reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from otel_llm.record import to_json
from otel_llm.sinks import Ended
from otel_llm.sinks.private_file import PrivateFile

__all__ = ["JSON_LINES", "JsonLines"]

JSON_LINES: Final = PrivateFile("a file of JSON lines", "another --jsonl", "look at --jsonl")


class JsonLines:
    """A sink that writes the record of each call as a line of a new file, and no prompt and no answer."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError when there is a file at `path`, or none can be created."""
        JSON_LINES.create(path)
        self._file = path.open("ab")

    def take(self, ended: Sequence[Ended]) -> None:
        """Write a line for each call."""
        self._file.write(b"".join(to_json(call.record) + b"\n" for call in ended))
        self._file.flush()

    def close(self, report: Mapping[str, Any] | None = None) -> None:
        """Close the file."""
        self._file.close()
