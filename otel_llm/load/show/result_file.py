"""Files that results are written to, at the path that an option names."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.sinks.private_file import replacing

__all__ = ["check_writable", "result_file", "write_json", "write_result_file"]


def check_writable(path: Path, option: str, what: str) -> None:
    """Check, before what takes long, that a report can be written. Raises ConfigError, which names the option."""
    if path == Path("-"):
        raise ConfigError(f"a file for the {what} report", "-", f"give {option} a name: the terminal has the report")
    if path.is_dir():
        raise ConfigError(f"a file for the {what} report", f"{path}, which is a folder", f"look at {option}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"a folder to write the {what} report in", str(path.parent), f"look at {option}")


def write_result_file(path: Path, data: bytes, option: str, what: str) -> None:
    """Write a report, whole or not at all, for its owner alone. Raises ConfigError, which names the option."""
    with result_file(path, option, what) as file:
        file.write(data)


@contextmanager
def result_file(path: Path, option: str, what: str) -> Iterator[IO[bytes]]:
    """Open a file for a report that is too long to be made at once. Raises ConfigError as `write_result_file` does."""
    try:
        with replacing(path) as file:
            yield file
    except OSError as error:
        raise ConfigError(f"a place to write the {what} report", error, f"look at {option}") from error


def write_json(path: Path, report: Mapping[str, Any]) -> None:
    """Write the report, whole or not at all, for its owner alone. Raises ConfigError when it cannot be written."""
    write_result_file(path, msgspec.json.format(msgspec.json.encode(report)) + b"\n", "--json", "JSON")
