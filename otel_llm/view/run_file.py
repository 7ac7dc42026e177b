"""A run file as a source of calls, also while it grows: its figures are exact, and each request has its chunks."""

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from otel_llm import conventions
from otel_llm.errors import ConfigError
from otel_llm.measures import Facts
from otel_llm.receiver.decode import ReceivedSpan
from otel_llm.record import Chunks, StreamRecord, from_json
from otel_llm.sinks.otel import described
from otel_llm.sinks.stored_run import read_columns, read_runs
from otel_llm.view.calls import CLIENT, Call, Calls, Group
from otel_llm.view.source import KeptSpan

__all__ = ["RunFileSource"]

_MOST: Final = 2_000_000
_PART: Final = 2000
_COLUMNS: Final = (
    "rowid, run_id, start_time, latency, time_to_first_token, time_per_output_token, completion_tokens, outcome, "
    "error_type, trace_id, json_extract(record, '$.model'), json_extract(record, '$.operation')"
)
_NEW: Final = "rowid > ? AND start_time IS NOT NULL"
_SERVICE: Final = "otel-llm-perf"


class RunFileSource:
    """The runs of a file. A request that was never sent is no call."""

    def __init__(self, path: Path, *, wait: bool = False) -> None:
        """Raises ConfigError when it is no run file; with wait, one that is not there yet is waited for."""
        self._path, self._wait = path, wait
        self.calls = Calls(_MOST)
        self.runs: dict[str, Mapping[str, Any]] = {}
        self._origins: dict[str, int] = {}
        self._after = 0
        self.refresh()

    def refresh(self) -> None:
        """Read what was added."""
        try:
            self._read_runs()
            for rows in read_columns(self._path, _COLUMNS, _NEW, (self._after,), _PART):
                for row in rows:
                    self._add(*row)
        except (ConfigError, sqlite3.OperationalError):
            if not self._wait and not self.runs:
                raise
        else:
            self._wait = False

    def read(self, key: int) -> KeptSpan | None:
        """Return the span of a request."""
        for rows in read_columns(self._path, "run_id, record, chunks", "rowid = ?", (key,), 1):
            run, text, blob = rows[0]
            return self._span(run, from_json(text), Chunks.from_bytes(blob))
        return None

    def trace(self, trace_id: str) -> list[KeptSpan]:
        """Return the spans of the requests of a trace."""
        return [span for key in self._keys(int(trace_id, 16)) if (span := self.read(key)) is not None]

    def _keys(self, trace_id: int) -> Iterator[int]:
        rows = self.calls.look().rows
        yield from rows["key"][rows["trace"] == np.uint64(trace_id & (2**64 - 1))].tolist() if trace_id else ()

    def _read_runs(self) -> None:
        for row in read_runs(self._path):
            arguments, summary = row["arguments"] or {}, row["summary"]
            self._origins[row["id"]] = row["clock_origin"]
            self.runs[row["id"]] = {
                "name": row["name"],
                "mode": "open loop" if arguments.get("rate") is not None else "closed loop",
                "planned": row["planned"],
                "limited": None if summary is None or not summary["client"] else bool(summary["client"]["saturated"]),
                "measures": None if summary is None else summary["measures"],
            }

    def _add(
        self, key: int, run: str, start: float, latency: float, first: float | None, per_token: float | None,
        tokens: int | None, outcome: str, error: str | None, trace: str | None, model: str | None,
        operation: str | None,
    ) -> None:  # fmt: skip
        self._after = key
        group = Group(model or "", _SERVICE, "" if operation in (None, "chat") else str(operation), CLIENT, run)
        start_ns = self._origins[run] + round(start * 1e9)
        failed, ended_by_caller = outcome == "error", outcome not in ("complete", "error")
        self.calls.add(
            Call(group, start_ns, latency, first, per_token, None, tokens, int(trace or "0", 16),
                 (error or "error") if failed else "", ended_by_caller),
            key,
        )  # fmt: skip

    def _span(self, run: str, record: StreamRecord, chunks: Chunks) -> KeptSpan:
        (facts,) = Facts.of(msgspec.structs.replace(record, chunks=chunks))
        name, kind, attributes, failed = described(facts)
        origin = self._origins[run]
        span = ReceivedSpan(
            name,
            int(record.trace_id or "0", 16),
            int(record.span_id or "0", 16),
            0,
            kind,
            origin + record.sent_ns,
            origin + record.ended_ns,
            "ERROR" if failed else "UNSET",
            attributes,
            {conventions.SERVICE_NAME: _SERVICE, conventions.RUN_ID: run},
            conventions.SCOPE,
            record.error_message or "",
        )
        return KeptSpan(span, tuple(origin + at for at in chunks.at_ns))
