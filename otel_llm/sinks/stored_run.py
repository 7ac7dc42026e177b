"""Reads run files, of any schema: the runs in a file, their requests, and what was kept beside them."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.record import Chunks, StreamRecord, from_json

__all__ = [
    "AnsweredRequest",
    "StoredCall",
    "columns_of",
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

_LOCKED_S: Final = 0.2
_LOOK: Final = "look for the .db file that the run named at its end"
_NEXT: Final = "try again when nothing else writes to it"
_JSON: Final = ("arguments", "versions", "summary")
_PACKED_OF_SCHEMA_1: Final = "'[' || response_messages || ']' FROM result"
"""One part that has all events."""
_ANSWERS: Final = "SELECT request, response_messages, prompt_tokens, completion_tokens FROM result WHERE success='True'"


def columns_of(db: sqlite3.Connection, table: str) -> list[str]:
    """Return the names of a table's columns, nothing where there is no such table."""
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
        if not columns_of(db, "server_scrape"):
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
    """A request as its row has it; the texts are None in a run of `--no-content`.

    content: the events of the answer, as `Content.to_json` has them
    """

    record: StreamRecord
    request: str | None
    content: str | None


def read_calls(path: Path, run_id: str) -> Iterator[StoredCall]:
    """Yield the requests of a run by the moments at which they ended. Raises ConfigError when it is no run file."""
    with reading(path) as db:
        packed = "content FROM packed_result" if columns_of(db, "packed_result") else _PACKED_OF_SCHEMA_1
        one = f"SELECT record, chunks, request, {packed} WHERE rowid = ?"  # ours
        order = db.execute("SELECT rowid FROM result WHERE run_id = ? ORDER BY completed_time, rowid", (run_id,))
        for (row,) in order:  # rows are long: ordering them themselves would copy all of them
            text, blob, request, content = db.execute(one, (row,)).fetchone()
            record = msgspec.structs.replace(from_json(text), chunks=Chunks.from_bytes(blob))
            yield StoredCall(record, request, content)


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
        raise ConfigError("a run file", str(path), _LOOK)
    still = mode == "ro" and not path.with_name(f"{path.name}-wal").exists()
    uri = f"{path.absolute().as_uri()}?mode={mode}" + ("&immutable=1" if still else "")
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=_LOCKED_S)) as db:
            db.execute("SELECT id, schema, arguments, summary FROM run LIMIT 1")
            db.execute("SELECT run_id, record, chunks FROM result LIMIT 1")
            yield db
    except sqlite3.OperationalError as error:
        raise ConfigError("a run file", f"{path} ({error})", _NEXT if "locked" in str(error) else "") from error
    except (sqlite3.Error, msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
        if "not a database" in str(error):
            raise ConfigError("a run file", f"{path} (no SQLite file)", _LOOK) from error
        raise ConfigError(
            "a run file", f"{path} (damaged: {error})", "the rest of it may be read with sqlite3"
        ) from error
