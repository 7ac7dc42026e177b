"""Which dataset reads a file, by what is in it: JSON is never sent as the text of a prompt."""

import codecs
import json
from pathlib import Path
from typing import Any, Final

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.reading import open_text, read_json_items

__all__ = ["format_of"]

_BY_SUFFIX: Final = {".csv": "csv_column", ".tsv": "csv_column", ".parquet": "parquet"}
_JSON: Final = frozenset((".json", ".jsonl", ".ndjson", ".jsonlines"))
_PACKED: Final = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2"}
_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_HEAD: Final = 4096
_CONVERSATIONS: Final = ("conversations", "conversation")


def format_of(path: Path) -> str:
    """Return the name of the dataset that reads the file or folder. Raises ConfigError for a compressed file."""
    if path.is_dir():
        return "huggingface_disk"
    head = _head_of(path)
    for magic, kind in _PACKED.items():
        if head.startswith(magic):
            raise ConfigError(f"prompts as text in {path}", f"{kind} data", "unpack the file")
    if head.startswith(b"PAR1"):
        return "parquet"
    if (suffix := path.suffix.lower()) in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if suffix in _JSON or _begins_as_json(path, head):
        return _of_json(path)
    return "line_by_line"


def _head_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError:
        return b""  # whoever reads the file says what is wrong with it


def _begins_as_json(path: Path, head: bytes) -> bool:
    """Return whether the first line that is not blank is JSON of objects or lists, or the file begins with one."""
    if head[:2] not in _WIDE and head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] not in (b"{", b"["):
        return False
    with open_text(path) as file:
        try:
            line = next((line for line in file if line.strip()), "").strip()
        except UnicodeDecodeError:
            return False
    return line in ("{", "[", "[{") or isinstance(_decoded(line), dict | list)


def _decoded(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _of_json(path: Path) -> str:
    item = next((item for _, item in read_json_items(path)), None)
    conversation = isinstance(item, dict) and any(isinstance(item.get(name), list) for name in _CONVERSATIONS)
    return "sharegpt" if conversation else "json_column"
