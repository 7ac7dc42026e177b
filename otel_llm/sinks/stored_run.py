"""Reads run files, of any schema: the runs in a file, their requests, and what was kept beside them."""

import sqlite3
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from otel_llm.errors import ConfigError
from otel_llm.record import (
    CHUNK_COLUMNS,
    DIFFERENCES,
    PACKED_HEAD,
    PLAIN_HEAD,
    WIDTH_CODES,
    Chunks,
    StreamRecord,
    from_json,
)

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
    "unpack",
    "unpack_each",
]

Ints = NDArray[Any]

_OF_TABLE: Final = ("at_ns", "read", "kind", "tokens")
_FULL: Final = np.array([size for _, _, size in CHUNK_COLUMNS])
_FIRST_AT, _WIDTHS_AT = 12, 20
"""Where `PACKED_HEAD` has the first arrival, and the widths of the columns."""
_LOCKED_S: Final = 0.2
_LOOK: Final = "look for the .db file that the run named at its end"
_TOGETHER: Final = 64
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
        found = db.execute(f"SELECT record, chunks FROM result {where} ORDER BY rowid", values)  # noqa: S608
        while rows := found.fetchmany(_TOGETHER):
            texts, blobs = zip(*rows, strict=True)
            for text, chunks in zip(texts, unpack_each(blobs), strict=True):
                yield msgspec.structs.replace(from_json(text), chunks=chunks)


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


# -- chunks, many answers at once ------------------------------------------------------------------------------------


def unpack(blobs: Sequence[bytes], *, lags: bool = True) -> dict[str, Ints]:
    """Return the fields of a `ChunkTable` of the chunks of answers; without `lags`, its `lag_ns` is empty.

    Raises ValueError for blobs that were cut.
    """
    columns, counts, _ = _unpacked(blobs, (*_OF_TABLE, "lag_ns") if lags else _OF_TABLE)
    return {"lag_ns": np.empty(0, np.int64), **columns, "owner": np.repeat(np.arange(len(counts)), counts)}


def unpack_each(blobs: Sequence[bytes]) -> list[Chunks]:
    """Return the chunks of each answer, as `Chunks.from_bytes` does one by one. Raises ValueError as it does."""
    names = [name for name, *_ in CHUNK_COLUMNS]
    columns, counts, lags = _unpacked(blobs, names)
    whole = {name: array(code, columns[name].tobytes()) for name, code, _ in CHUNK_COLUMNS}
    found, start, lag_start = [], 0, 0
    for count, stamped in zip(counts.tolist(), lags.tolist(), strict=True):
        mine = slice(start, start := start + count)
        late = slice(lag_start, lag_start := lag_start + stamped)
        found.append(Chunks(*(whole[name][late if name == "lag_ns" else mine] for name in names)))
    return found


def _unpacked(blobs: Sequence[bytes], names: Sequence[str]) -> tuple[Mapping[str, Ints], Ints, Ints]:
    """Return columns of the chunks of answers, one answer after the other, and how many chunks and lags each has.

    Raises ValueError for blobs that were cut.
    """
    data, lengths = b"".join(blobs), np.fromiter(map(len, blobs), np.int64, len(blobs))
    if (lengths < PLAIN_HEAD.size).any():
        raise ValueError("expected two counts, got a part of them")
    starts = np.cumsum(lengths) - lengths
    ends, each = starts + lengths, np.ones(len(blobs), np.int64)
    packed = _gathered(data, "I", starts, each) == 0xFFFF_FFFF
    if (lengths[packed] < PACKED_HEAD.size).any():
        raise ValueError("expected a head of packed columns, got a part of it")
    heads = _gathered(data, "I", starts + 4 * packed, 2 * each).astype(np.int64)
    counts, stamped = heads[::2], heads[1::2]
    widths, first = np.tile(_FULL, (len(blobs), 1)), np.zeros(len(blobs), np.int64)
    some = each[packed]
    widths[packed] = _gathered(data, "B", starts[packed] + _WIDTHS_AT, len(_FULL) * some).reshape(-1, len(_FULL))
    first[packed] = _gathered(data, "q", starts[packed] + _FIRST_AT, some)
    starts = starts + np.where(packed, PACKED_HEAD.size, PLAIN_HEAD.size)
    found: dict[str, Ints] = {}
    for (name, code, _), width in zip(CHUNK_COLUMNS, widths.T, strict=True):
        many = stamped if name == "lag_ns" else counts
        if (starts + width * many > ends).any() or not np.isin(width, list(WIDTH_CODES)).all():
            raise ValueError("expected whole columns of chunks, got a part of them")
        if name in names:
            column = _column(data, code, starts, many, width)
            if name in DIFFERENCES:
                column = _added_up(column, many, width < column.itemsize, first if name == "at_ns" else 0 * first)
            found[name] = column
        starts = starts + width * many
    return found, counts, stamped


def _column(data: bytes, code: str, starts: Ints, counts: Ints, widths: Ints) -> Ints:
    """Return a column of all answers, as numbers of type `code`."""
    found = np.empty(counts.sum(), code)
    each = np.unique(widths).tolist()
    for width in each:
        mine = widths == width
        numbers = _gathered(data, WIDTH_CODES[width], starts[mine], counts[mine])
        if len(each) == 1:  # as nearly always
            return numbers.astype(code)
        found[np.repeat(mine, counts)] = numbers
    return found


def _added_up(column: Ints, counts: Ints, differs: Ints, first: Ints) -> Ints:
    """Return numbers where an answer has differences (`differs`). first: what those of each answer begin from"""
    if not differs.any():
        return column
    sums = np.cumsum(column, dtype=np.int64)
    before = np.concatenate(([0], sums))[np.cumsum(counts) - counts]
    sums += np.repeat(first - before, counts)
    return (sums if differs.all() else np.where(np.repeat(differs, counts), sums, column)).astype(column.dtype)


def _gathered(data: bytes, code: str, starts: Ints, counts: Ints) -> Ints:
    """Return the numbers of runs that stand somewhere in bytes, one run after the other.

    code: of the numbers; starts, counts: the byte at which each run begins, and how many numbers it has
    """
    kind = np.dtype(f"<{code}")
    places = max(len(data) - kind.itemsize + 1, 0)
    everywhere: Ints = np.ndarray((places,), kind, data, strides=(1,))  # the number that begins at each byte
    shift = starts - kind.itemsize * (np.cumsum(counts) - counts)
    found: Ints = everywhere[np.repeat(shift, counts) + kind.itemsize * np.arange(counts.sum())]
    return found
