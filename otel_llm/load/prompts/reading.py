"""Files of prompts, line by line: what is wrong is said with file and line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from otel_llm.errors import ConfigError

__all__ = ["open_text", "read_json_lines", "read_json_list", "read_lines", "require_path", "text_under"]


def read_lines(path: Path | None) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, line without its end) of each line that is not blank.

    Raises ConfigError when there is no such file or it is not UTF-8.
    """
    with open_text(path) as file:
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise ConfigError(f"UTF-8 text in {path}", error, "convert the file") from error


def read_json_lines(path: Path | None) -> Iterator[tuple[str, Any]]:
    """Yield (`file:line`, value) of each line of JSON. Raises ConfigError for a line that is none."""
    for number, line in read_lines(path):
        try:
            yield f"{path}:{number}", json.loads(line)
        except ValueError as error:
            raise ConfigError(f"JSON at {path}:{number}", line[:80], "write one JSON value a line") from error


def read_json_list(path: Path | None) -> Iterator[tuple[str, Any]]:
    """Yield (place, item) of a file that is one JSON list. Raises ConfigError for anything else."""
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
    """Return the text under `key`. Raises ConfigError that names the place when there is none."""
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
    """Return the file, opened as UTF-8 with its line ends as they are. Raises ConfigError when that cannot be."""
    path = require_path(path)
    try:
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise ConfigError(f"a readable file of prompts at {path}", error.strerror, "check the path") from error
