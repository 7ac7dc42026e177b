"""The formats of traces that can be read, one module each, and which of them a file is, by what is in it."""

import csv
from codecs import BOM_UTF8
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.load.traces.azure import AZURE
from otel_llm.load.traces.bailian import BAILIAN
from otel_llm.load.traces.batch import BATCH
from otel_llm.load.traces.burstgpt import BURSTGPT
from otel_llm.load.traces.format import Head, Part, TraceFormat
from otel_llm.load.traces.mooncake import MOONCAKE
from otel_llm.load.traces.otlp import OTLP
from otel_llm.load.traces.run_file import RUN_FILE
from otel_llm.load.traces.servegen import SERVEGEN
from otel_llm.load.traces.trace import Trace
from otel_llm.load.traces.weka import WEKA

__all__ = ["FORMATS", "open_trace"]

FORMATS: Final[Mapping[str, TraceFormat]] = {
    "mooncake": MOONCAKE,
    "bailian": BAILIAN,
    "azure": AZURE,
    "burstgpt": BURSTGPT,
    "run_file": RUN_FILE,
    "otlp": OTLP,
    "servegen": SERVEGEN,
    "weka": WEKA,
    "batch": BATCH,
}
_HEAD: Final = 1 << 20
_SHOWN: Final = 8
_NO_TRACES: Final = (
    (b"[", "a JSON list", "write one object a line; prompts go after --dataset"),
    (b"\x1f\x8b", "a file packed by gzip", "unpack it"),
    (b"PAR1", "Parquet", "write it as CSV; prompts go after --dataset"),
)
"""What a file begins with that is something else, and what to do then."""
_OF_DATASETS: Final = frozenset(("prompt", "messages", "conversations", "question", "instruction", "text", "body"))


def open_trace(path: Path, name: str | None = None, part: Part = Part()) -> Trace:  # noqa: B008  # it cannot change
    """Return the trace in a file, or more than a part of it where that is read alone.

    name: its format; None recognises it by what is in the file

    Raises ConfigError when there is no such file or format, and for a row that cannot be, with its number.
    """
    if name is not None and name not in FORMATS:
        raise ConfigError("a --trace-format out of " + ", ".join(FORMATS), name)
    head = _head_of(path)
    found = FORMATS.get(name or "") or next((each for each in FORMATS.values() if each.recognises(head)), None)
    if found is None:
        raise _unknown(path, head)
    return found.read(path, part)


def _head_of(path: Path) -> Head:
    if path.is_dir():
        return Head(path, b"", frozenset())
    try:
        with path.open("rb") as file:
            first = next((line for line in iter(lambda: file.readline(_HEAD), b"") if line.strip()), b"")
    except OSError as error:
        raise ConfigError(f"a readable trace at {path}", error.strerror, "check the path") from error
    first = first.removeprefix(BOM_UTF8)
    return Head(path, first, frozenset(_columns(first)))


def _columns(first: bytes) -> list[str]:
    """Return the names of the first row's members, or of a table's header; none where it is neither."""
    if first.lstrip().startswith(b"{"):
        try:
            return list(msgspec.json.decode(first, type=dict[str, msgspec.Raw]))
        except msgspec.MsgspecError:
            return []
    try:
        return [name.strip() for name in next(csv.reader([first.decode("utf-8-sig")]))]
    except (UnicodeDecodeError, csv.Error, StopIteration):
        return []


def _unknown(path: Path, head: Head) -> ConfigError:
    expected = f"a trace in {path} as {', '.join(FORMATS)} have it"
    if head.columns & _OF_DATASETS:
        return ConfigError(expected, "prompts", "give it after --dataset")
    for begins, what, next_step in _NO_TRACES:
        if head.first.lstrip().startswith(begins):
            return ConfigError(expected, what, next_step)
    if head.first.lstrip().startswith(b"{") and not head.columns:
        return ConfigError(expected, "a first line that is no JSON object", "write one object a line")
    shown = "a folder" if head.path.is_dir() else ", ".join(sorted(head.columns)[:_SHOWN]) or "no columns"
    return ConfigError(expected, shown, "rename its columns to those of docs/workloads.md")
