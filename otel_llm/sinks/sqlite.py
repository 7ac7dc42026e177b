"""The run file: one SQLite database per run, authoritative, readable while it grows, whole after a crash.

View `result` has the columns of the llmuses era under their names, as JSON text in place of pickles, then what a
record has besides; times are seconds, of one monotonic clock. Behind it, table `packed_result` has what the events of
an answer repeat once, and the view writes them out again: a fifth of the bytes. Table `run` says what was run. What was
inserted is on disk at most half a second later. `stored_run` reads it.
"""

import sqlite3
from array import array
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

from otel_llm import measures
from otel_llm.clock import SYSTEM, now_ns
from otel_llm.errors import ConfigError
from otel_llm.record import CHUNK_COLUMNS, DIFFERENCES, PACKED, PACKED_HEAD, WIDTH_CODES, Chunks, to_json
from otel_llm.sinks import Ended
from otel_llm.sinks.private_file import PrivateFile
from otel_llm.sinks.stored_run import columns_of, reading

__all__ = ["COLUMNS", "RUN_FILE", "RunFile", "check_appendable", "create_empty", "pack"]

RUN_FILE: Final = PrivateFile("a run file", "another --name, or --append", "look at --name", in_new_folder=True)

_Ints = NDArray[Any]

_COMMIT_NS: Final = 500_000_000
_LOCKED_MS: Final = 200
_LOCKED_AT_AN_END_MS: Final = 5_000

_VERSION: Final = 2
"""Of the tables below; `run.schema` says by which one a run was written. In 1 `result` is a table."""


class _Row:
    """A request that ended, as the columns see it."""

    __slots__ = ("at_ns", "body", "chunks", "content", "facts", "record", "run_id", "sent")

    def __init__(self, run_id: str, call: Ended, chunks: bytes) -> None:
        self.run_id, self.facts, self.record, self.chunks = run_id, call.facts, call.facts.record, chunks
        self.body = None if call.body is None else call.body.decode("utf-8", "replace")
        self.content = None if call.content is None else call.content.to_json()
        self.at_ns, self.sent = self.record.chunks.at_ns, "unsent" not in self.record.flags


class Column(NamedTuple):
    """A column of the table `packed_result`.

    note:  stands beside it in the schema
    shown: what the view `result` has in its place, as SQL; empty where it has the column itself
    """

    name: str
    type: str
    get: Callable[[_Row], Any]
    note: str = ""
    shown: str = ""


def _gaps(at_ns: "array[int]") -> str:
    at = np.frombuffer(at_ns, np.int64)
    gaps = at.copy()
    gaps[1:] -= at[:-1]
    return orjson.dumps(gaps, option=orjson.OPT_SERIALIZE_NUMPY).decode()


_CHUNK_TIMES: Final = """'[' || coalesce((
        SELECT group_concat(printf('%d.%09d', at / 1000000000, at % 1000000000), ',')
        FROM (SELECT sum(value) OVER (ORDER BY key ROWS UNBOUNDED PRECEDING) AS at FROM json_each(gaps))
    ), '') || ']' AS chunk_times"""
"""JSON: arrival of every chunk. As text: SQLite writes 15 digits of a number, which a clock may have before its ns."""

_RESPONSE_MESSAGES: Final = """CASE WHEN content IS NOT NULL THEN '[' || coalesce((
        SELECT group_concat(
            CASE type
            WHEN 'array' THEN substr(value, 2, length(value) - 2)
            ELSE '"' || json_extract(value, '$.before') || replace(
                json_extract(value, '$.texts'), '"',
                json_extract(value, '$.after') || '","' || json_extract(value, '$.before')
            ) || json_extract(value, '$.after') || '"'
            END, ',')
        FROM json_each(content)
    ), '') || ']' END AS response_messages"""
"""JSON: the data of every event. `Content.to_json` says what the parts are."""

COLUMNS: Final = (
    Column("request", "TEXT", lambda row: row.body, "JSON: the body that was sent"),
    Column("start_time", "REAL", lambda row: row.record.sent_ns / 1e9 if row.sent else None, "before the first byte"),
    Column(
        "gaps", "TEXT", lambda row: _gaps(row.at_ns), "JSON: ns from the chunk before, of the first: from 0",
        _CHUNK_TIMES,
    ),
    Column("success", "TEXT", lambda row: str(row.record.ok), "'True' or 'False'"),
    Column("content", "TEXT", lambda row: row.content, "JSON: parts of the answer, see the view", _RESPONSE_MESSAGES),
    Column("completed_time", "REAL", lambda row: row.record.ended_ns / 1e9),
    Column("latency", "REAL", lambda row: measures.request_latency(row.record) if row.sent else None),
    Column("first_chunk_latency", "REAL", lambda row: row.facts.time_to_first_chunk),
    Column("n_chunks", "INTEGER", lambda row: max(len(row.at_ns) - 2, 0), "without the first and the last"),
    Column(
        "chunk_time", "REAL", lambda row: (row.at_ns[-2] - row.at_ns[0]) / 1e9 if len(row.at_ns) > 2 else None,
        "from the first chunk to the last but one",
    ),
    Column("prompt_tokens", "INTEGER", lambda row: row.record.input_tokens),
    Column("completion_tokens", "INTEGER", lambda row: row.record.output_tokens),
    Column("run_id", "TEXT", lambda row: row.run_id),
    Column("request_index", "INTEGER", lambda row: row.record.index),
    Column("outcome", "TEXT", lambda row: row.record.outcome),
    Column("error_type", "TEXT", lambda row: row.record.error_type),
    Column("error_message", "TEXT", lambda row: row.record.error_message),
    Column("status", "INTEGER", lambda row: row.record.status),
    Column("intended_time", "REAL", lambda row: row.record.intended_ns and row.record.intended_ns / 1e9),
    Column("time_to_first_token", "REAL", lambda row: row.facts.time_to_first_token),
    Column("time_per_output_token", "REAL", lambda row: row.facts.time_per_output_token),
    Column("token_source", "TEXT", lambda row: row.record.token_source),
    Column("trace_id", "TEXT", lambda row: row.record.trace_id),
    Column("span_id", "TEXT", lambda row: row.record.span_id),
    Column("record", "TEXT", lambda row: to_json(row.record, chunks=False).decode(), "JSON: all of it but its chunks"),
    Column("chunks", "BLOB", lambda row: row.chunks, "otel_llm.record.Chunks.from_bytes"),
)  # fmt: skip
"""One row per request. The view's first twelve are those of `llmuses perf`; another column is another line here."""

_SHOWN: Final = ",\n    ".join([*(c.shown or c.name for c in COLUMNS), "rowid"])
_COLUMNS: Final = ",\n    ".join(f"{c.name} {c.type}" + (f" /* {c.note} */" if c.note else "") for c in COLUMNS)
_SCHEMA: Final = f"""
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
CREATE TABLE IF NOT EXISTS packed_result (
    {_COLUMNS}
);
CREATE VIEW IF NOT EXISTS result AS SELECT
    {_SHOWN}
FROM packed_result;
CREATE TABLE IF NOT EXISTS server_scrape (
    run_id TEXT,
    url TEXT,
    at REAL,              -- seconds, of the same clock as all stamps
    engine TEXT,          -- whose page it was
    error TEXT,           -- why there is nothing
    scrape TEXT           -- JSON: what it said
);
"""  # noqa: S608  # what stands above
_SHARD: Final = "CREATE TABLE IF NOT EXISTS shard (run_id TEXT PRIMARY KEY, account TEXT /* JSON */)"
"""Of a run that is a part of one: what its records do not say."""

_INSERT: Final = f"INSERT INTO packed_result VALUES ({', '.join('?' for _ in COLUMNS)})"  # noqa: S608  # only question marks


_INSERT_SCRAPE: Final = "INSERT INTO server_scrape VALUES (?, ?, ?, ?, ?, ?)"

ScrapeRow = tuple[str, int, str, str | None, Any]
"""What a source of metrics said: its URL, when (ns), whose page, why there is nothing, and all of it."""


class RunFile:
    """A sink that writes a run to a file that only its owner can read."""

    def __init__(
        self,
        path: Path,
        run: Mapping[str, Any],
        planned: int | None,
        *,
        append: bool = False,
        clock_origin: int | None = None,
    ) -> None:
        """Create or open the file. Raises ConfigError when it cannot be written, or exists and must not be continued.

        run:     `id`, `name`, `started_at`, `arguments` (without secrets) and `versions`, as in the JSON report
        planned: None where only the clock ends the run
        append:  continue a file that exists; `run_id` tells the rows of its runs apart
        clock_origin: Unix time in ns of 0 on the clock of the records; None: that of this process
        """
        self.path = path
        self._new = not (append and path.exists())
        if self._new:
            RUN_FILE.create(path)
        self._id = run["id"]
        self._db = sqlite3.connect(path.absolute())  # some names, such as :memory:, mean something to SQLite
        try:
            self._begin(run, planned, SYSTEM.wall_ns(0) if clock_origin is None else clock_origin)
        except sqlite3.OperationalError as error:
            self._db.close()
            if self._new:
                path.unlink()
            raise ConfigError(
                "a run file that can be written", f"{path} ({error})", "try again when nothing else writes to it"
            ) from error
        self._scrapes: list[tuple[Any, ...]] = []
        self._waiting: list[list[Any]] = []
        """Rows that are not on disk yet."""
        self._wrote_ns = now_ns() - _COMMIT_NS
        self.written = 0
        """Requests of this run that are on disk."""

    def _begin(self, run: Mapping[str, Any], planned: int | None, clock_origin: int) -> None:
        self._db.execute("PRAGMA page_size = 32768")  # rows are long: fewer writes, a third less time
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        texts = {key: msgspec.json.encode(run[key]).decode() for key in ("arguments", "versions")}
        self._db.execute(
            "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (run["id"], _VERSION, run["name"], run["started_at"], *texts.values(), clock_origin, planned),
        )
        self._db.commit()
        self._db.execute(f"PRAGMA busy_timeout = {_LOCKED_MS}")

    def take(self, ended: Sequence[Ended]) -> None:
        """Take requests that ended. Raises sqlite3.Error as `commit` does."""
        chunks = pack([call.facts.record.chunks for call in ended])
        rows = [_Row(self._id, *each) for each in zip(ended, chunks, strict=True)]
        self._waiting += [[column.get(row) for column in COLUMNS] for row in rows]
        self.commit()

    def add_scrapes(self, rows: Sequence[ScrapeRow]) -> None:
        """Write what the server's metrics said. Raises sqlite3.Error; while another program has locked the file, they
        wait as requests do."""
        self._scrapes += [
            (self._id, url, at_ns / 1e9, engine or None, error, msgspec.json.encode(said).decode())
            for url, at_ns, engine, error, said in rows
        ]
        self.commit(now=True)

    def commit(self, *, now: bool = False) -> None:
        """Put on disk what was taken, if that was not done in the last half second; with `now`, in any case.

        While another program has locked the file, it waits in memory for the next time. Raises sqlite3.Error for what
        does not pass by itself, such as a full disk.
        """
        if not (self._waiting or self._scrapes) or not (now or now_ns() - self._wrote_ns >= _COMMIT_NS):
            return
        self._wrote_ns = now_ns()
        try:
            self._write()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise

    def _write(self) -> None:
        with self._db:  # all of it or nothing
            self._db.executemany(_INSERT, self._waiting)
            self._db.executemany(_INSERT_SCRAPE, self._scrapes)
        self.written += len(self._waiting)
        self._waiting.clear()
        self._scrapes.clear()

    def add_account(self, account: bytes) -> None:
        """Write what a run that is a part of another knows beside its records, as JSON. Raises sqlite3.Error."""
        with self._db:
            self._db.execute(_SHARD)
            self._db.execute("INSERT INTO shard VALUES (?, ?)", (self._id, account.decode()))

    def close(self, report: Mapping[str, Any] | None = None) -> None:
        """Write the report as the run's summary, if there is one, and close the file. Raises sqlite3.Error.

        It waits for 5 s where another program has locked the file.
        """
        with closing(self._db):
            self._db.execute(f"PRAGMA busy_timeout = {_LOCKED_AT_AN_END_MS}")
            self._write()
            if report is not None:
                text = msgspec.json.encode(report).decode()
                self._db.execute("UPDATE run SET summary = ? WHERE id = ?", (text, self._id))
            self._db.commit()

    def discard(self) -> None:
        """Undo what opening did, for a run that never began."""
        self._db.execute("DELETE FROM run WHERE id = ?", (self._id,))
        self.close()
        if self._new:
            self.path.unlink()


def pack(answers: Sequence[Chunks]) -> list[bytes]:
    """Return the chunks of each answer as bytes, for `Chunks.from_bytes`.

    A packet takes 13 bytes where all its numbers as they are would take 29. A column is as wide for all answers that
    are written together, so that whole columns are looked at, and not one answer after the other.
    """
    lengths = np.array([len(each.at_ns) for each in answers], np.int64)
    opens = (np.cumsum(lengths) - lengths)[lengths > 0]
    names, codes, _ = zip(*CHUNK_COLUMNS, strict=True)
    joined = [b"".join([getattr(each, name) for each in answers]) for name in names]
    columns = map(np.frombuffer, joined, codes)
    packed = [_packed(name, column, opens) for name, column in zip(names, columns, strict=True)]
    widths = [width for width, _ in packed]
    found, start, lag_start = [], 0, 0
    for each in answers:
        count, lags = len(each.at_ns), len(each.lag_ns)
        parts = [PACKED_HEAD.pack(PACKED, count, lags, each.at_ns[0] if count else 0, *widths)]
        for name, (width, data) in zip(names, packed, strict=True):
            first, many = (lag_start, lags) if name == "lag_ns" else (start, count)
            parts.append(data[first * width : (first + many) * width])
        found.append(b"".join(parts))
        start, lag_start = start + count, lag_start + lags
    return found


def _packed(name: str, column: _Ints, opens: _Ints) -> tuple[int, bytes]:
    """Return the width of a column, and its bytes. opens: which chunks are the first of an answer"""
    full = column.itemsize
    if name in DIFFERENCES:
        steps = np.diff(column.astype(np.int64), prepend=0)
        steps[opens] = 0 if name == "at_ns" else column[opens]
        column = steps if _width(steps) < full else column
        width = min(_width(steps), full)
    else:
        width = _width(column)
    return width, column.astype(f"<{WIDTH_CODES[width]}", copy=False).tobytes()


def _width(numbers: _Ints) -> int:
    """Return how many bytes hold each of these numbers."""
    if not len(numbers):
        return 1
    if numbers.dtype.kind == "i" and numbers.min() < 0:
        return 8
    most = int(numbers.max())
    return next(width for width in WIDTH_CODES if width == 8 or most < 1 << 8 * width)


def create_empty(path: Path, more: str) -> None:
    """Create a run file without a run, with what the SQL script `more` adds. Raises ConfigError as RunFile does."""
    RUN_FILE.create(path)
    with closing(sqlite3.connect(path.absolute())) as db:
        db.execute("PRAGMA page_size = 32768")
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(_SCHEMA + more)


def check_appendable(path: Path) -> None:
    """Check that a run can be added to a run file. Raises ConfigError for another schema, or for no run file."""
    with reading(path) as db, closing(sqlite3.connect(":memory:")) as ours:
        versions = {version for (version,) in db.execute("SELECT schema FROM run")}
        ours.executescript(_SCHEMA)
        same = all(columns_of(db, table) == columns_of(ours, table) for table in ("run", "packed_result"))
    with reading(path, mode="rw") as db:  # whether it can be written to is seen before any request
        db.execute("BEGIN IMMEDIATE")
        db.rollback()
    if versions - {_VERSION} or not same:
        others = ", ".join(str(version) for version in sorted(versions - {_VERSION})) or "other columns"
        raise ConfigError(f"a run file of schema {_VERSION}", f"{path} ({others})", "write to another --name")
