"""Times that servers say in spans of their own, found again by the `traceparent` that each request carried.

vLLM and SGLang put `gen_ai.latency.*` on the span of a request, with the same names. SGLang's prefill begins where its
front end hands the request on, so that it holds the queue, and the queue is not beside it. A prefill without a queue
in the same span is therefore none of ours.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from otel_llm import conventions as names
from otel_llm.errors import ConfigError
from otel_llm.load.traces.otlp_line import Line
from otel_llm.load.traces.rows import each_line
from otel_llm.record import ServerTimes, StreamRecord
from otel_llm.wire.said import Said

__all__ = ["ServerSpans"]

_OfTrace = tuple[str, Mapping[str, Any]]
"""A trace's id, 32 hexadecimal digits, and the attributes of one span of it."""

_SQLITE: Final = b"SQLite format 3\0"
_NAMES: Final = {
    "queue": names.ENGINE_TIME_IN_QUEUE,
    "prefill": names.ENGINE_TIME_IN_PREFILL,
    "first_token": names.ENGINE_TIME_TO_FIRST_TOKEN,
    "decode": names.ENGINE_TIME_IN_DECODE,
    "total": names.ENGINE_LATENCY,
}


class ServerSpans:
    """What the spans of a file say of each trace. Where two spans of one trace say something, neither is taken."""

    def __init__(self, path: Path) -> None:
        """Read them: lines of OTLP as the Collector's file exporter writes them, or a file of `otel-llm view`.

        Raises ConfigError for a file that is neither, or that says nothing of the kind.
        """
        self._path = path
        self._times: dict[str, Mapping[str, Any] | None] = {}
        for trace, said in _of_view(path) if _is_sqlite(path) else _of_lines(path):
            if (times := _times(said)) is not None:
                self._times[trace] = None if trace in self._times else times
        if not self._times:
            raise ConfigError(
                f"spans with gen_ai.latency.* in {path}",
                "none",
                "have the server trace: vLLM --otlp-traces-endpoint, SGLang --enable-trace (docs/server.md)",
            )

    def add_to(self, records: Iterable[StreamRecord]) -> Iterator[StreamRecord]:
        """Yield the records with the times of their spans; what their answers said counts before it.

        Raises ConfigError at the end where no span was of any of them.
        """
        joined = False
        for record in records:
            times = self._times.get(record.trace_id or "")
            joined |= times is not None
            yield record if times is None else _with_times(record, times)
        if not joined:
            raise ConfigError(f"spans of this run in {self._path}", "those of other requests", "name its own file")


def _with_times(record: StreamRecord, times: Mapping[str, Any]) -> StreamRecord:
    said = Said(server=None if record.server is None else msgspec.structs.asdict(record.server))
    said.settle()
    said.add_times(times)
    return msgspec.structs.replace(record, server=ServerTimes.of(said.server))


def _times(said: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what a span says, by our names; None where that is nothing."""
    found = {name: said[theirs] for name, theirs in _NAMES.items() if theirs in said}
    if "queue" not in found:
        found.pop("prefill", None)
    answer = Said(server={"source": ("spans",), **found})
    answer.settle()
    return answer.server


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError as error:
        raise ConfigError(f"a readable file of spans at {path}", error.strerror, "check the path") from error


def _of_lines(path: Path) -> list[_OfTrace]:
    found: list[_OfTrace] = []

    def take(line: Line) -> None:
        found.extend(
            (span.trace_id, {name: value.number for name, value in span.said.items()}) for span in line.spans()
        )

    each_line(path, Line, take)
    return found


def _of_view(path: Path) -> list[_OfTrace]:
    try:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            rows = database.execute("SELECT trace_id, said FROM span").fetchall()
        finally:
            database.close()
    except sqlite3.Error as error:
        raise ConfigError(
            "a file of `otel-llm view`", f"{path} ({error})", "stop `otel-llm view` first, or name another file"
        ) from error
    return [(trace, msgspec.json.decode(said)["attributes"]) for trace, said in rows]
