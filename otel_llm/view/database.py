"""The file in which `otel-llm view` keeps what it got: SQLite, of its owner alone, and never larger than it may be."""

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from otel_llm.clock import SYSTEM, now_ns
from otel_llm.errors import ConfigError
from otel_llm.sinks.private_file import PrivateFile

__all__ = ["Database", "Keep"]

_FILE: Final = PrivateFile("a file of otel-llm view", "another --file", "look at --file")
_APPLICATION: Final = 0x0EE17E1E
"""Marks the file as one of these, where SQLite has a place for it."""
_COMMIT_NS: Final = 500_000_000
_LOG: Final = 4_000_000
"""Bytes of the bound that are for the log of SQLite beside the file."""
_ROOM: Final = 0.92
"""Share of the rest that is left when old rows went."""
_TABLES: Final = ("span", "histogram")
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS span (
    key INTEGER PRIMARY KEY,
    trace_id TEXT NOT NULL,     -- 32 hexadecimal digits
    span_id TEXT NOT NULL,      -- 16
    parent_span_id TEXT,        -- 16, NULL for the first span of a trace
    name TEXT,
    kind TEXT,
    start_ns INTEGER,           -- Unix time
    end_ns INTEGER,
    status TEXT,
    status_message TEXT,
    scope TEXT,
    said TEXT,                  -- JSON: attributes, resource, events
    kept_at INTEGER NOT NULL    -- Unix time, s
);
CREATE INDEX IF NOT EXISTS span_by_trace ON span (trace_id);
CREATE TABLE IF NOT EXISTS stream (
    id INTEGER PRIMARY KEY,
    stream TEXT UNIQUE,         -- what tells it apart
    name TEXT,
    attributes TEXT,            -- JSON
    resource TEXT               -- JSON
);
CREATE TABLE IF NOT EXISTS histogram (
    key INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    slot INTEGER NOT NULL,      -- Unix time at which it begins, s
    exponential INTEGER NOT NULL,
    point BLOB NOT NULL,        -- an OTLP data point: the values that came in this slot
    kept_at INTEGER NOT NULL,
    UNIQUE (stream, slot)
);
CREATE INDEX IF NOT EXISTS histogram_by_slot ON histogram (slot);
CREATE TABLE IF NOT EXISTS run (
    id TEXT PRIMARY KEY,
    said TEXT                   -- JSON: what a load run says of itself
);
"""


class Keep:
    """How much is kept: bytes of the file with its log, and seconds since it came."""

    __slots__ = ("bytes", "seconds")

    def __init__(self, size: int, seconds: float) -> None:
        self.bytes, self.seconds = size, seconds


class Database:
    """The open file. `lock` is to be held around what belongs together; each method takes it by itself."""

    def __init__(self, path: Path, keep: Keep) -> None:
        """Open the file, or create it. Raises ConfigError where that cannot be, or where it is another program's."""
        if not path.exists():
            _FILE.create(path)
        self.path, self._keep = path, keep
        self.lock = threading.RLock()
        self._db = sqlite3.connect(path.absolute(), timeout=0.5, check_same_thread=False)
        self._committed_ns = now_ns()
        self._open = True
        try:
            self._begin()
        except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
            self._db.close()
            raise ConfigError(
                "a file that otel-llm view can keep things in", f"{path} ({error})", "choose another --file"
            ) from error

    def _begin(self) -> None:
        ((mark,),) = self._db.execute("PRAGMA application_id")
        ((tables,),) = self._db.execute("SELECT count(*) FROM sqlite_schema")
        if tables and mark != _APPLICATION:
            raise sqlite3.OperationalError("another program's")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")  # what is lost with the machine's power is seen again, or past
        self._db.execute("PRAGMA wal_autocheckpoint = 256")
        self._db.execute("PRAGMA journal_size_limit = 1000000")
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")  # of two that write to it the second is told so
        self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
        self._db.executescript(_SCHEMA)
        self._db.commit()

    def read(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query."""
        with self.lock:
            return self._db.execute(query, values).fetchall()

    def write(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Execute a statement; return the key of the row that it wrote."""
        with self.lock:
            return self._db.execute(statement, values).lastrowid or 0

    def write_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a statement for each row."""
        with self.lock:
            self._db.executemany(statement, rows)

    def commit(self, *, now: bool = False) -> None:
        """Put on disk what was written, if that was not done in the last half second, and let what is old go."""
        with self.lock:
            if self._open and (now or now_ns() - self._committed_ns >= _COMMIT_NS):
                self._committed_ns = now_ns()
                self._leave_old()
                self._db.commit()

    def close(self) -> None:
        """Put on disk what was written, and close."""
        with self.lock:
            if self._open:
                self.commit(now=True)
                self._open = False
                self._db.close()

    @property
    def used(self) -> int:
        """Bytes of the file that are in use."""
        with self.lock:
            size, pages, free = (
                self._db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_size", "page_count", "freelist_count")
            )
            return int(size * (pages - free))

    def _leave_old(self) -> None:
        until = SYSTEM.wall_ns(now_ns()) // 10**9 - int(self._keep.seconds)
        for table in _TABLES:
            while self._oldest(table, 1000) < until and self._leave(table, 1000):
                pass
        full = self._keep.bytes - _LOG
        if self.used > full:
            while self.used > _ROOM * full and self._leave_from_each(200):
                self._db.commit()

    def _oldest(self, table: str, count: int) -> float:
        """Return when the youngest of the oldest rows came, Unix time in s; infinity of none."""
        query = f"SELECT max(kept_at) FROM (SELECT kept_at FROM {table} ORDER BY key LIMIT ?)"  # noqa: S608
        ((found,),) = self._db.execute(query, (count,))
        return float("inf") if found is None else float(found)

    def _leave_from_each(self, count: int) -> int:
        return sum(self._leave(table, count) for table in _TABLES)

    def _leave(self, table: str, count: int) -> int:
        """Delete the oldest rows; return how many that were."""
        query = f"DELETE FROM {table} WHERE key IN (SELECT key FROM {table} ORDER BY key LIMIT ?)"  # noqa: S608
        return self._db.execute(query, (count,)).rowcount
