"""Read files of prompts. An error names the file and the line."""

import codecs
import itertools
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TextIO

from otel_llm.errors import ConfigError

__all__ = [
    "open_table",
    "open_text",
    "read_json_items",
    "read_json_lines",
    "read_json_list",
    "read_lines",
    "require_path",
    "text_under",
]

_PART: Final = 1 << 20
_OF_ONE: Final = frozenset(("messages", "conversations", "conversation", "turns", "prompt", "body"))
"""Names under which an object has what one request asks."""
_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


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


def read_json_items(path: Path | None) -> Iterator[tuple[str, Any]]:
    """Yield (place, item) for each item of a file that is one JSON list, an object around one, or has a value a line.

    A list of messages is one item. Raises ConfigError for any other file, and for a line that is not JSON.
    """
    lines = read_lines(path)
    number, first = next(lines, (0, ""))
    if not first:
        return
    try:
        value = json.loads(first)
    except ValueError:
        yield from _items_of(path, _whole(path), f"{path}, item 1")
        return
    if next(lines, None) is None:
        yield from _items_of(path, value, f"{path}:{number}")
    else:
        yield from read_json_lines(path)


def _whole(path: Path | None) -> Any:
    with open_text(path) as file:
        try:
            return json.load(file)
        except ValueError as error:
            raise ConfigError(f"JSON in {path}", error, "write one list, or one JSON value a line") from error


def _items_of(path: Path | None, value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield the items of a file's only value, or that value with its place."""
    if isinstance(value, dict):
        rows = [each for each in value.values() if isinstance(each, list) and each and isinstance(each[0], dict)]
        items = rows[0] if len(rows) == 1 and not _OF_ONE & set(value) else None
    else:
        items = value if isinstance(value, list) and not _are_messages(value) else None
    if items is None:
        yield place, value
        return
    for number, item in enumerate(items, 1):
        yield f"{path}, item {number}", item


def _are_messages(items: list[Any]) -> bool:
    return bool(items) and all(isinstance(each, dict) and "role" in each for each in items)


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
    """Open a file as UTF-8, or as the UTF-16 that its first bytes announce, with its line ends as they are.

    Raises ConfigError when it cannot be opened.
    """
    return _open(require_path(path), lambda path: _announced(path) or "utf-8-sig")


def open_table(path: Path | None) -> TextIO:
    """Open a file as `open_text` does; one that is no UTF-8 is read as spreadsheets of Windows write it.

    Raises ConfigError when it cannot be opened.
    """
    return _open(require_path(path), lambda path: _announced(path) or _encoding_of(path, path.stat().st_mtime_ns))


def _announced(path: Path) -> str | None:
    """Return the encoding that a byte order mark other than that of UTF-8 says; None without one."""
    with path.open("rb") as file:
        head = file.read(4)
    if head in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        return "utf-32"
    return "utf-16" if len(head) > 2 and head.startswith(_WIDE) else None


@lru_cache(16)
def _encoding_of(path: Path, _changed_ns: int) -> str:
    """Return utf-8-sig, or, where the file is no UTF-8, cp1252, or latin-1 where it is not that either."""
    for name in ("utf-8-sig", "cp1252"):
        decoder = codecs.getincrementaldecoder(name)()
        try:
            with path.open("rb") as file:
                for part in itertools.takewhile(bool, iter(lambda: file.read(_PART), None)):
                    decoder.decode(part)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return name
    return "latin-1"


def _open(path: Path, encoding: Callable[[Path], str]) -> TextIO:
    try:
        return path.open(encoding=encoding(path), newline="")
    except OSError as error:
        raise ConfigError(f"a readable file of prompts at {path}", error.strerror, "check the path") from error
