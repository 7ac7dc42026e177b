"""The run file: one SQLite database per run, authoritative, readable while it grows, whole after a crash.

Table `result` has the columns of the llmuses era under their names, as JSON text in place of pickles, then what a
record has besides; times are seconds, of one monotonic clock. Table `run` says what was run. What was inserted is on
disk at most half a second later.
"""

import sqlite3
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec
import numpy as np
import orjson

from otel_llm import measures
from otel_llm.clock import SYSTEM, now_ns
from otel_llm.errors import ConfigError
from otel_llm.record import Chunks, StreamRecord, from_json, to_json
from otel_llm.sinks import Ended
from otel_llm.sinks.private_file import PrivateFile

__all__ = [
    "RUN_FILE",
    "RunFile",
    "StoredCall",
    "check_appendable",
    "create_empty",
    "read_account",
    "read_answers",
    "read_bodies",
    "read_calls",
    "read_columns",
    "read_records",
    "read_run",
    "read_runs",
    "read_scrapes",
    "reading",
]

RUN_FILE: Final = PrivateFile("a run file", "another --name, or --append", "look at --name")

_COMMIT_NS: Final = 500_000_000
_LOCKED_MS: Final = 200
_LOCKED_AT_AN_END_MS: Final = 5_000
_NEXT: Final = "try again when nothing else writes to it"
_VERSION: Final = 1
"""Of the tables below; `run.schema` says by which one a run was written."""


class _Row:
    """A request that ended, as the columns see it."""

    __slots__ = ("at_ns", "body", "events", "facts", "record", "run_id", "sent")

    def __init__(self, run_id: str, call: Ended) -> None:
        self.run_id, self.facts, self.record = run_id, call.facts, call.facts.record
        self.body = None if call.body is None else call.body.decode("utf-8", "replace")
        self.events = None if call.content is None else call.content.to_json()
        self.at_ns, self.sent = self.record.chunks.at_ns, "unsent" not in self.record.flags


class Column(NamedTuple):
    """A column of the table `result`; `note` stands beside it in the schema."""

    name: str
    type: str
    get: Callable[[_Row], Any]
    note: str = ""


def _times(at_ns: "array[int]") -> str:
    return orjson.dumps(np.frombuffer(at_ns, np.int64) / 1e9, option=orjson.OPT_SERIALIZE_NUMPY).decode()


COLUMNS: Final = (
    Column("request", "TEXT", lambda row: row.body, "JSON: the body that was sent"),
    Column("start_time", "REAL", lambda row: row.record.sent_ns / 1e9 if row.sent else None, "before the first byte"),
    Column("chunk_times", "TEXT", lambda row: _times(row.at_ns), "JSON: arrival of every chunk"),
    Column("success", "TEXT", lambda row: str(row.record.ok), "'True' or 'False'"),
    Column("response_messages", "TEXT", lambda row: row.events, "JSON: the data of every event"),
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
    Column("chunks", "BLOB", lambda row: row.record.chunks.to_bytes(), "otel_llm.record.Chunks.from_bytes"),
)  # fmt: skip
"""One row per request. The first twelve are those of `llmuses perf`; another column is another line here."""

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
CREATE TABLE IF NOT EXISTS result (
    {_COLUMNS}
);
CREATE TABLE IF NOT EXISTS server_scrape (
    run_id TEXT,
    url TEXT,
    at REAL,              -- seconds, of the same clock as all stamps
    engine TEXT,          -- whose page it was
    error TEXT,           -- why there is nothing
    scrape TEXT           -- JSON: what it said
);
"""
_SHARD: Final = "CREATE TABLE IF NOT EXISTS shard (run_id TEXT PRIMARY KEY, account TEXT /* JSON */)"
"""Of a run that is a part of one: what its records do not say."""

_JSON: Final = ("arguments", "versions", "summary")
_ANSWERS: Final = "SELECT request, response_messages, prompt_tokens, completion_tokens FROM result WHERE success='True'"
_INSERT: Final = f"INSERT INTO result VALUES ({', '.join('?' for _ in COLUMNS)})"  # noqa: S608  # only question marks


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
        rows = [_Row(self._id, call) for call in ended]
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
        same = all(_names(db, table) == _names(ours, table) for table in ("run", "result"))
    with reading(path, mode="rw") as db:  # whether it can be written to is seen before any request
        db.execute("BEGIN IMMEDIATE")
        db.rollback()
    if versions - {_VERSION} or not same:
        others = ", ".join(str(version) for version in sorted(versions - {_VERSION})) or "other columns"
        raise ConfigError(f"a run file of schema {_VERSION}", f"{path} ({others})", "write to another --name")


def _names(db: sqlite3.Connection, table: str) -> list[str]:
    return [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")]


def read_runs(path: Path) -> list[dict[str, Any]]:
    """Return the `run` rows of a run file, oldest first, JSON columns decoded. Raises ConfigError for no run file."""
    with reading(path) as db:
        db.row_factory = sqlite3.Row
        rows = [
            {
                name: msgspec.json.decode(value) if name in _JSON and value else value
                for name, value in dict(row).items()
            }
            for row in db.execute("SELECT * FROM run ORDER BY rowid")
        ]
    if not rows:
        raise ConfigError("a run file", f"{path} (no run in it)")
    return rows


def read_run(path: Path) -> dict[str, Any]:
    """Return the latest `run` row of a run file. Raises ConfigError when it is no run file."""
    return read_runs(path)[-1]


def read_records(path: Path, run_id: str | None = None) -> Iterator[StreamRecord]:
    """Yield the records of a run (None: of all in the file), in the order in which they ended.

    Raises ConfigError when it is no run file.
    """
    where, values = ("", ()) if run_id is None else ("WHERE run_id = ?", (run_id,))
    with reading(path) as db:
        for text, blob in db.execute(f"SELECT record, chunks FROM result {where} ORDER BY rowid", values):  # noqa: S608
            yield msgspec.structs.replace(from_json(text), chunks=Chunks.from_bytes(blob))


def read_columns(path: Path, columns: str, where: str, values: Sequence[Any], many: int) -> Iterator[list[Any]]:
    """Yield rows of some columns of the table `result`, `many` at a time, in the order in which the requests ended.

    columns, where: as in SQL, with a question mark for each of `values`. Raises ConfigError when it is no run file.
    """
    query = f"SELECT {columns} FROM result WHERE {where} ORDER BY rowid"  # noqa: S608  # what callers spell out
    with reading(path) as db:
        found = db.execute(query, tuple(values))
        while rows := found.fetchmany(many):
            yield rows


def read_bodies(path: Path, run_id: str) -> Iterator[tuple[StreamRecord, bytes | None]]:
    """Yield each request of a run as its record, without its chunks, and its body, None in a run of `--no-content`.

    Raises ConfigError when it is no run file.
    """
    with reading(path) as db:
        for text, body in db.execute("SELECT record, request FROM result WHERE run_id = ? ORDER BY rowid", (run_id,)):
            yield from_json(text), None if body is None else body.encode()


def read_scrapes(path: Path, run_id: str) -> list[bytes]:
    """Return what the server's metrics said during a run, each as JSON; nothing of a file that has no such table.

    Raises ConfigError when it is no run file.
    """
    with reading(path) as db:
        if not _names(db, "server_scrape"):
            return []
        found = db.execute("SELECT scrape FROM server_scrape WHERE run_id = ? ORDER BY rowid", (run_id,))
        return [text.encode() for (text,) in found]


def read_account(path: Path, run_id: str) -> str | None:
    """Return what `add_account` wrote, as JSON; None of a run that is no part of another.

    Raises ConfigError when it is no run file.
    """
    with reading(path) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'shard'").fetchone():
            return None
        found = db.execute("SELECT account FROM shard WHERE run_id = ?", (run_id,)).fetchone()
        return None if found is None else str(found[0])


class StoredCall(NamedTuple):
    """A request as its row has it; the texts are None in a run of `--no-content`."""

    record: StreamRecord
    request: str | None
    messages: str | None


def read_calls(path: Path, run_id: str) -> Iterator[StoredCall]:
    """Yield the requests of a run by the moments at which they ended. Raises ConfigError when it is no run file."""
    with reading(path) as db:
        order = db.execute("SELECT rowid FROM result WHERE run_id = ? ORDER BY completed_time, rowid", (run_id,))
        for (row,) in order:  # rows are long: ordering them themselves would copy all of them
            text, blob, request, messages = db.execute(
                "SELECT record, chunks, request, response_messages FROM result WHERE rowid = ?", (row,)
            ).fetchone()
            record = msgspec.structs.replace(from_json(text), chunks=Chunks.from_bytes(blob))
            yield StoredCall(record, request, messages)


class AnsweredRequest(NamedTuple):
    """What was asked and answered; the first two are JSON, None in a run of `--no-content`."""

    request: str | None
    messages: str | None
    prompt_tokens: int | None
    completion_tokens: int | None


def read_answers(path: Path, run_id: str) -> Iterator[AnsweredRequest]:
    """Yield the answers of the requests of a run that succeeded, in the order of their indices.

    Raises ConfigError when it is no run file.
    """
    with reading(path) as db:
        yield from map(
            AnsweredRequest._make, db.execute(f"{_ANSWERS} AND run_id = ? ORDER BY request_index", (run_id,))
        )


@contextmanager
def reading(path: Path, mode: Literal["ro", "rw"] = "ro") -> Iterator[sqlite3.Connection]:
    """Open a run file to read it. Raises ConfigError when it is no run file, or turns out to be damaged.

    Reading writes nothing beside it: a file without a log is read as one that does not change.
    """
    if not path.is_file():
        raise ConfigError("a run file", str(path), "look for the .db file that the run named at its end")
    still = mode == "ro" and not path.with_name(f"{path.name}-wal").exists()
    uri = f"{path.absolute().as_uri()}?mode={mode}" + ("&immutable=1" if still else "")
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=_LOCKED_MS / 1e3)) as db:
            db.execute("SELECT id, schema, arguments, summary FROM run LIMIT 1")
            db.execute("SELECT run_id, record, chunks FROM result LIMIT 1")
            yield db
    except sqlite3.OperationalError as error:
        raise ConfigError("a run file", f"{path} ({error})", _NEXT if "locked" in str(error) else "") from error
    except (sqlite3.Error, msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            "a run file", f"{path} (damaged: {error})", "the rest of it may be read with sqlite3"
        ) from error
