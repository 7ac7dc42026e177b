"""Read files of prompts. An error names the file and the line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from otel_llm.errors import ConfigError

__all__ = ["open_text", "read_json_lines", "read_json_list", "read_lines", "require_path", "text_under"]


def read_lines(path: Path | None) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, line without its end) for each line that is not blank.

    Raises ConfigError when the file does not exist or is not UTF-8.
    """
    with open_text(path) as file:
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise ConfigError(f"UTF-8 text in {path}", error, "convert the file") from error


def read_json_lines(path: Path | None) -> Iterator[tuple[str, Any]]:
    """Yield (`file:line`, value) for each line of JSON. Raises ConfigError for a line that is not JSON."""
    for number, line in read_lines(path):
        try:
            yield f"{path}:{number}", json.loads(line)
        except ValueError as error:
            raise ConfigError(f"JSON at {path}:{number}", line[:80], "write one JSON value a line") from error


def read_json_list(path: Path | None) -> Iterator[tuple[str, Any]]:
    """Yield (place, item) for each item of a file that is one JSON list. Raises ConfigError for any other file."""
    with open_text(path) as file:
        try:
            items = json.load(file)
        except ValueError as error:
            raise ConfigError(
                f"a JSON list in {path}", error, "write one list, or use a format of one JSON value a line"
            ) from error
    if not isinstance(items, list):
        raise ConfigError(f"a JSON list in {path}", type(items).__name__)
    for number, item in enumerate(items, 1):
        yield f"{path}, item {number}", item


def text_under(place: str, item: Any, key: str) -> str:
    """Return the text under `key` of an object. Raises ConfigError with the place when there is none."""
    if not isinstance(item, dict) or not isinstance(item.get(key), str):
        got = sorted(item) if isinstance(item, dict) else type(item).__name__
        raise ConfigError(f"an object with text under {key!r} at {place}", got, "choose another --dataset-format")
    return str(item[key])


def require_path(path: Path | None) -> Path:
    """Return the path. Raises ConfigError when none was given."""
    if path is None:
        raise ConfigError("the path of a file with prompts", next_step="give it after --dataset")
    return path


def open_text(path: Path | None) -> TextIO:
    """Open a file as UTF-8, with its line ends as they are. Raises ConfigError when it cannot be opened."""
    path = require_path(path)
    try:
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise ConfigError(f"a readable file of prompts at {path}", error.strerror, "check the path") from error
