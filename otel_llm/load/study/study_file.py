"""A study: a run file of many runs, with the plan of the study and which run is which point of it.

Each point is written when its run has ended. So a study that was stopped, or killed, goes on where it was: a run that
was broken off is no point, and its point is run again.
"""

import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Any, Final

import msgspec
import numpy as np

from otel_llm.clock import now_ns
from otel_llm.errors import ConfigError
from otel_llm.load.study.point import Point
from otel_llm.measures import Floats
from otel_llm.sinks.sqlite import create_empty
from otel_llm.sinks.stored_run import read_runs, reading

__all__ = ["StudyFile", "digest_of", "read_study", "requests_at"]

_TABLES: Final = """
CREATE TABLE study (
    plan TEXT NOT NULL,   -- JSON: what kind of study, its points, a digest of the options of its runs
    schema INTEGER NOT NULL
);
CREATE TABLE point (
    number INTEGER PRIMARY KEY,
    loop TEXT NOT NULL,   -- rate or parallel
    load REAL NOT NULL,
    repeat INTEGER NOT NULL,
    run_id TEXT NOT NULL  -- of the table run
);
"""
_VERSION: Final = 1
_PATIENCE_NS: Final = 10_000_000_000
_NOT_COMPARED: Final = frozenset(("name", "headers", "api_key_env", "api_key_file", "wandb_api_key", "json"))


def digest_of(options: Mapping[str, Any]) -> str:
    """Return what tells the options of two studies apart, and nothing of them. Keys and headers are left out."""
    kept = {name: str(value) for name, value in sorted(options.items()) if name not in _NOT_COMPARED}
    return hashlib.sha256(msgspec.json.encode(kept)).hexdigest()


class StudyFile:
    """The file of a study while it is worked on. Use `open`."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path, self.lock = path, lock

    @classmethod
    @contextmanager
    def open(cls, path: Path, plan: Mapping[str, Any]) -> "Iterator[StudyFile]":
        """Create the file, or take up the study of that plan in it. Raises ConfigError where it holds anything else.

        Nobody else works on it meanwhile: also no run that was left over from a study that was killed.
        """
        text = msgspec.json.encode(plan).decode()
        if not path.exists():
            create_empty(path, _TABLES)
            with closing(sqlite3.connect(path.absolute())) as db, db:
                db.execute("INSERT INTO study VALUES (?, ?)", (text, _VERSION))
        lock = os.open(path, os.O_RDONLY)
        try:
            _wait_for(lock, path)
            if cls._plan(path) != msgspec.json.decode(text):
                raise ConfigError(
                    "the options that the study began with", str(path), "give them again, or another --name"
                )
            with _removed_if_empty(study := cls(path, lock)):
                yield study
        finally:
            os.close(lock)

    @staticmethod
    def _plan(path: Path) -> Any:
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
                ((plan, version),) = db.execute("SELECT plan, schema FROM study").fetchall()
        except (sqlite3.Error, ValueError) as error:
            raise ConfigError("a study", f"{path} ({error})", "give another --name") from None
        return msgspec.json.decode(plan) if version == _VERSION else None

    def add(self, point: Point, run_id: str) -> None:
        """Note that the run is the point."""
        with closing(sqlite3.connect(self.path.absolute())) as db, db:
            row = (point.number, point.loop, point.load, point.repeat, run_id)
            db.execute("INSERT INTO point VALUES (?, ?, ?, ?, ?)", row)

    def runs(self) -> dict[str, dict[str, Any]]:
        """Return the runs in the file by their ids, in their order, also those that are no points."""
        with closing(sqlite3.connect(self.path.absolute())) as db:
            (count,) = db.execute("SELECT count(*) FROM run").fetchone()
        return {row["id"]: row for row in read_runs(self.path)} if count else {}

    def points(self) -> list[tuple[Point, dict[str, Any]]]:
        """Return the points so far with the reports of their runs, by their numbers."""
        with closing(sqlite3.connect(self.path.absolute())) as db:
            return _points(db, self.runs())


def read_study(path: Path) -> tuple[dict[str, Any], list[tuple[Point, dict[str, Any]]]] | None:
    """Return the plan and the points of a study, as `points` does, from a file that may be worked on.

    None of a run file that holds no study. Raises ConfigError when it is no run file, or holds no run yet.
    """
    runs = {row["id"]: row for row in read_runs(path)}
    with reading(path) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'study'").fetchall():
            return None
        ((plan, version),) = db.execute("SELECT plan, schema FROM study").fetchall()
        if version != _VERSION:
            raise ConfigError(f"a study of schema {_VERSION}", f"{path} ({version})")
        return msgspec.json.decode(plan), _points(db, runs)


def requests_at(path: Path, number: int) -> Floats:
    """Return the requests of a point that succeeded and have a first token and both counts of tokens.

    Prompt tokens, output tokens, time to first token and latency, s: float64[n, 4].
    """
    with reading(path) as db:
        rows = db.execute(
            "SELECT prompt_tokens, completion_tokens, time_to_first_token, latency FROM result "
            "JOIN point ON point.run_id = result.run_id WHERE point.number = ? AND success = 'True' "
            "AND prompt_tokens IS NOT NULL AND completion_tokens IS NOT NULL AND time_to_first_token IS NOT NULL",
            (number,),
        ).fetchall()
    return np.array(rows, np.float64).reshape(-1, 4)


def _points(db: sqlite3.Connection, runs: Mapping[str, Mapping[str, Any]]) -> list[tuple[Point, dict[str, Any]]]:
    rows = db.execute("SELECT number, loop, load, repeat, run_id FROM point ORDER BY number").fetchall()
    return [(Point(*row), runs[run_id]["summary"]) for *row, run_id in rows]


@contextmanager
def _removed_if_empty(study: StudyFile) -> Iterator[None]:
    """Remove the file when the study cannot be run as it was given, and nothing was measured."""
    try:
        yield
    except ConfigError:
        if not study.runs():
            study.path.unlink()
        raise


def _wait_for(lock: int, path: Path) -> None:
    """Wait until nobody else works on the file. Raises ConfigError when that takes too long."""
    until = now_ns() + _PATIENCE_NS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if now_ns() > until:
                raise ConfigError("a study that nobody works on", str(path), "wait for the other to end") from None
            Event().wait(0.1)
        else:
            return
