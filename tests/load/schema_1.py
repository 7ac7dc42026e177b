"""A run file as it was before schema 2: `result` is a table."""

import sqlite3
from contextlib import closing
from pathlib import Path

__all__ = ["make_schema_1"]


def make_schema_1(path: Path) -> None:
    """Turn a run file into what an earlier version would have written."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "CREATE TABLE old AS SELECT * FROM result; DROP VIEW result; DROP TABLE packed_result;"
            "ALTER TABLE old DROP COLUMN rowid; ALTER TABLE old RENAME TO result; UPDATE run SET schema = 1"
        )
