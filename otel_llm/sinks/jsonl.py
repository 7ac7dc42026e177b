"""Records as JSON lines, one call a line: what `jq`, a notebook or another process reads."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from otel_llm.record import to_json
from otel_llm.sinks import Ended
from otel_llm.sinks.private_file import PrivateFile

__all__ = ["JSON_LINES", "JsonLines"]

_log: Final = logging.getLogger("otel_llm")
JSON_LINES: Final = PrivateFile("a file of JSON lines", "another --jsonl", "look at --jsonl")


class JsonLines:
    """A sink that writes the record of each call as a line of a new file, and no prompt and no answer."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError when there is a file at `path`, or none can be created."""
        JSON_LINES.create(path)
        self._file = path.open("ab")
        self._broken = False

    def take(self, ended: Sequence[Ended]) -> None:
        """Write a line for each call. When the disk is full, say so once, and go on without."""
        if self._broken:
            return
        try:
            self._file.write(b"".join(to_json(call.record) + b"\n" for call in ended))
            self._file.flush()
        except OSError as error:
            self._broken = True
            _log.warning("%s has no further requests in it: %s", self._file.name, error)

    def close(self, report: Mapping[str, Any] | None = None) -> None:
        """Close the file."""
        with suppress(OSError):
            self._file.close()
