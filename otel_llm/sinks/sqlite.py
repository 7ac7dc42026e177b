"""The run file: one SQLite database per run, authoritative, readable while it grows, whole after a crash.

Table `result` has the columns of the llmuses era under their names, as JSON text in place of pickles, then what a
record has besides. Table `run` says what was run. What was inserted is on disk at most half a second later.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import orjson

from otel_llm import measures
from otel_llm.clock import SYSTEM, now_ns
from otel_llm.errors import ConfigError
from otel_llm.record import Chunks, StreamRecord, from_json, to_json
from otel_llm.sinks import Ended
from otel_llm.sinks.private_file import PrivateFile

__all__ = ["RUN_FILE", "RunFile", "check_appendable", "read_records", "read_run", "read_runs"]

RUN_FILE: Final = PrivateFile("a run file", "another --name, or --append", "look at --name")

_COMMIT_NS: Final = 500_000_000
_VERSION: Final = 1
"""Of the tables below; `run.schema` says by which one a run was written."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS run (
    id TEXT PRIMARY KEY,
    schema INTEGER NOT NULL,
    name TEXT,
    started_at TEXT,
    arguments TEXT,       -- JSON, without secrets
    versions TEXT,        -- JSON
    clock_origin INTEGER, -- Unix time in ns of 0 on the clock of all stamps in this file
    planned INTEGER,
    summary TEXT          -- JSON, when the run has ended
);
CREATE TABLE IF NOT EXISTS result (
    request TEXT,             -- JSON: the body that was sent
    start_time REAL,          -- seconds on the monotonic clock, just before the first byte
    chunk_times TEXT,         -- JSON: arrival of every chunk, seconds on the same clock
    success TEXT,             -- 'True' or 'False'
    response_messages TEXT,   -- JSON: the data of every event of the answer
    completed_time REAL,
    latency REAL,
    first_chunk_latency REAL,
    n_chunks INTEGER,         -- as the document counts: without the first and the last
    chunk_time REAL,          -- from the first chunk to the last but one
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    run_id TEXT,
    request_index INTEGER,
    outcome TEXT,
    error_type TEXT,
    error_message TEXT,
    status INTEGER,
    intended_time REAL,
    time_to_first_token REAL,
    time_per_output_token REAL,
    token_source TEXT,
    trace_id TEXT,
    span_id TEXT,
    record TEXT,              -- JSON: all of the record but its chunks
    chunks BLOB               -- the chunk columns: otel_llm.record.Chunks.from_bytes
);
"""

_JSON: Final = ("arguments", "versions", "summary")
_INSERT: Final = f"INSERT INTO result VALUES ({', '.join('?' * 26)})"  # noqa: S608  # only question marks


class RunFile:
    """Writes a run. Opening makes the file, readable by its owner alone."""

    def __init__(self, path: Path, run: Mapping[str, Any], planned: int | None, *, append: bool = False) -> None:
        """Raises ConfigError when the file cannot be made, or exists and is not to be continued.

        run:     `id`, `name`, `started_at`, `arguments` (without secrets) and `versions`, as in the JSON report
        planned: None where only the clock ends the run
        append:  continue a file that exists: rows of every run say by `run_id` whose they are
        """
        self.path = path
        self._new = not (append and path.exists())
        if self._new:
            RUN_FILE.create(path)
        self._id = run["id"]
        self._db = sqlite3.connect(path)
        self._db.execute("PRAGMA page_size = 32768")  # rows are long: fewer writes, a third less time
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        texts = {key: msgspec.json.encode(run[key]).decode() for key in ("arguments", "versions")}
        self._db.execute(
            "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (run["id"], _VERSION, run["name"], run["started_at"], *texts.values(), SYSTEM.wall_ns(0), planned),
        )
        self._db.commit()
        self._dirty_since: int | None = None

    def take(self, ended: Sequence[Ended]) -> None:
        """Insert requests that ended."""
        self._db.executemany(_INSERT, [self._row(call) for call in ended])
        if self._dirty_since is None:
            self._dirty_since = now_ns()
        self.commit()

    def commit(self, *, now: bool = False) -> None:
        """Put on disk what was inserted more than half a second ago; everything when `now`."""
        if self._dirty_since is not None and (now or now_ns() - self._dirty_since >= _COMMIT_NS):
            self._db.commit()
            self._dirty_since = None

    def close(self, report: Mapping[str, Any] | None = None) -> None:
        """Write the report as the run's summary, if there is one, and close the file."""
        if report is not None:
            text = msgspec.json.encode(report).decode()
            self._db.execute("UPDATE run SET summary = ? WHERE id = ?", (text, self._id))
        self._db.commit()
        self._db.close()

    def discard(self) -> None:
        """Undo what opening did: of a run that never began, nothing is left."""
        self._db.execute("DELETE FROM run WHERE id = ?", (self._id,))
        self.close()
        if self._new:
            self.path.unlink()

    def _row(self, call: Ended) -> tuple[Any, ...]:
        facts, record = call.facts, call.record
        at, unsent = record.chunks.at_ns, "unsent" in record.flags
        inner = max(len(at) - 2, 0)
        return (
            None if call.body is None else call.body.decode("utf-8", "replace"),
            None if unsent else record.sent_ns / 1e9,
            orjson.dumps(np.frombuffer(at, np.int64) / 1e9, option=orjson.OPT_SERIALIZE_NUMPY).decode(),
            str(record.ok),
            None if call.content is None else call.content.to_json(),
            record.ended_ns / 1e9,
            None if unsent else measures.request_latency(record),
            facts.time_to_first_chunk,
            inner,
            (at[-2] - at[0]) / 1e9 if inner else None,
            record.input_tokens,
            record.output_tokens,
            self._id,
            record.index,
            record.outcome,
            record.error_type,
            record.error_message,
            record.status,
            None if record.intended_ns is None else record.intended_ns / 1e9,
            facts.time_to_first_token,
            facts.time_per_output_token,
            record.token_source,
            record.trace_id,
            record.span_id,
            to_json(record, chunks=False).decode(),
            record.chunks.to_bytes(),
        )


def check_appendable(path: Path) -> None:
    """See that a run may be added to a run file. Raises ConfigError for no run file, and for one of another schema."""
    versions = {row["schema"] for row in read_runs(path)}
    with _reading(path) as db, closing(sqlite3.connect(":memory:")) as ours:
        ours.executescript(_SCHEMA)
        same = all(_columns(db, table) == _columns(ours, table) for table in ("run", "result"))
    if versions != {_VERSION} or not same:
        others = ", ".join(str(version) for version in sorted(versions - {_VERSION})) or "other columns"
        raise ConfigError(f"a run file of schema {_VERSION}", f"{path} ({others})", "write to another --name")


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")]


def read_runs(path: Path) -> list[dict[str, Any]]:
    """Return the `run` rows of a run file, oldest first, JSON columns decoded. Raises ConfigError for no run file."""
    with _reading(path) as db:
        db.row_factory = sqlite3.Row
        rows = [dict(row) for row in db.execute("SELECT * FROM run ORDER BY rowid")]
    if not rows:
        raise ConfigError("a run file", f"{path} (no run in it)")
    return [
        {key: msgspec.json.decode(value) if key in _JSON and value else value for key, value in row.items()}
        for row in rows
    ]


def read_run(path: Path) -> dict[str, Any]:
    """Return the latest `run` row of a run file. Raises ConfigError when it is no run file."""
    return read_runs(path)[-1]


def read_records(path: Path, run_id: str | None = None) -> Iterator[StreamRecord]:
    """Yield the records of a run (None: of all in the file), in the order in which they ended.

    Raises ConfigError when it is no run file.
    """
    where, values = ("", ()) if run_id is None else ("WHERE run_id = ?", (run_id,))
    with _reading(path) as db:
        for text, blob in db.execute(f"SELECT record, chunks FROM result {where} ORDER BY rowid", values):  # noqa: S608
            yield msgspec.structs.replace(from_json(text), chunks=Chunks.from_bytes(blob))


class _reading:  # noqa: N801  # used as a statement
    """A read-only connection to a run file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> sqlite3.Connection:
        if not self._path.is_file():
            raise ConfigError("a run file", str(self._path), "look for the .db file that the run named at its end")
        try:
            self._db = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)
            self._db.execute("SELECT 1 FROM run, result LIMIT 1")
        except sqlite3.DatabaseError as error:
            raise ConfigError("a run file", f"{self._path} ({error})") from error
        return self._db

    def __exit__(self, *_: object) -> None:
        self._db.close()
