"""Run files of any name; foreign, damaged and locked ones; a disk that is full."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from otel_llm.cli import main
from otel_llm.errors import ConfigError
from otel_llm.load.coordinator.run import run_name
from otel_llm.sinks import Ended
from otel_llm.sinks.sqlite import RunFile
from otel_llm.sinks.stored_run import read_records, read_runs
from otel_llm.testing import CLOSE, ScriptedServer, timeline
from tests.load.test_secrets import ANSWER

RUN = {"id": "r1", "name": "n", "started_at": "2026-01-01T00:00:00+00:00", "arguments": {"model": "m"}, "versions": {}}


def ended(*indices: int) -> list[Ended]:
    return Ended.of(*(timeline("r..a.b|", index=index) for index in indices))


def a_run(folder: Path, name: str = "run.db", *more: str) -> int:
    """Run one request into ./NAME of the working folder; return the exit code."""
    with ScriptedServer([ANSWER, CLOSE]) as server:
        url = f"{server.url}/v1/chat/completions"
        return main(["perf", "--url", url, "--model", "m", "--prompt", "x", "--name", name, *more])


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file's write lock, as a database browser does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.rollback()


@pytest.mark.parametrize(
    "name", ["a#b.db", "a?b=c&mode=rw.db", "50%25.db", ":memory:", "file:x.db", "a b'\".db", "ü.db"]
)
def test_a_run_file_of_any_name_is_read_again(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert a_run(tmp_path, name) == 0
    assert a_run(tmp_path, name, "--append") == 0
    assert main(["report", name]) == 0
    assert "run 2 of 2" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_folder_of_a_run_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert a_run(tmp_path, "runs/today/first.db") == 0
    assert (tmp_path / "runs/today/first.db").is_file()
    capsys.readouterr()
    assert a_run(tmp_path, "runs/today/first.db/second.db") == 2
    assert "expected a folder to write the run file in, got " in capsys.readouterr().err


def test_a_model_name_of_any_length_and_letters_names_a_file() -> None:
    for model in ("x" * 300, "模" * 200, "a\n\x1b[2Jb"):
        _, path = run_name(model, None)
        assert len(path.name.encode()) + len("-wal") <= 255
        assert path.name.isprintable()


def test_a_name_that_is_too_long_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert a_run(tmp_path, "x" * 300) == 2
    assert "look at --name" in capsys.readouterr().err


def test_reading_a_run_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert a_run(tmp_path) == 0
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.iterdir()}
    assert main(["report", "run.db", "--requests"]) == 0
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.iterdir()} == before
    assert main(["report", "nowhere.db"]) == 2
    assert main(["report", "."]) == 0
    assert set(before) == {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE packed_result SET chunks = x'ffffffffffffffff'",
        "UPDATE packed_result SET chunks = x'00'",
        "UPDATE packed_result SET chunks = NULL",
        "UPDATE packed_result SET record = '{}'",
        "UPDATE packed_result SET record = 'no JSON'",
        "UPDATE run SET arguments = 'no JSON'",
        "UPDATE run SET arguments = '[]'",
        "UPDATE run SET summary = '{}'",
        "UPDATE run SET summary = '[]'",
        "UPDATE run SET summary = '{\"requests\": 5}'",
        "DELETE FROM run",
        "DROP TABLE packed_result",
        "DROP VIEW result",
    ],
)
def test_a_damaged_run_file_is_one_line_and_exit_code_2(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert a_run(tmp_path) == 0
    with closing(sqlite3.connect(tmp_path / "run.db")) as db:
        db.execute(damage)
        db.commit()
    capsys.readouterr()
    assert main(["report", "run.db"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("otel-llm report: expected a run file, got ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\x00" + bytes(200), None])
def test_a_file_of_another_kind_is_one_line_and_exit_code_2(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other.db"
    if content is None:
        with closing(sqlite3.connect(other)) as db:
            db.executescript("CREATE TABLE run(a); CREATE TABLE result(a); INSERT INTO run VALUES (1)")
    else:
        other.write_bytes(content)
    for words in (["report", "other.db"], ["perf", "--model", "m", "--prompt", "x", "--append", "--name", "other.db"]):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert "expected a run file" in said
        if content == b"no database":
            assert "other.db (no SQLite file)'; look for the .db file" in said
        assert said.count("\n") == 1


def test_a_locked_file_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert a_run(tmp_path) == 0
    with locked(tmp_path / "run.db"):
        assert a_run(tmp_path, "run.db", "--append") == 2
    assert "(database is locked)'; try again when nothing else writes to it" in capsys.readouterr().err
    assert len(read_runs(tmp_path / "run.db")) == 1


def test_what_cannot_be_written_yet_is_written_later(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    file = RunFile(path, RUN, planned=4)
    with locked(path):
        file.take(ended(0, 1))
        file.commit(now=True)
        file.take(ended(2))
        file.commit(now=True)
        assert file.written == 0
    file.take(ended(3))
    file.commit(now=True)
    assert file.written == 4
    file.close({"requests": {}})
    assert [record.index for record in read_records(path)] == [0, 1, 2, 3]


def test_what_can_never_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otel_llm.sinks.sqlite._LOCKED_AT_AN_END_MS", 1)
    path = tmp_path / "run.db"
    file = RunFile(path, RUN, planned=2)
    with locked(path):
        file.take(ended(0, 1))
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            file.close({"requests": {}})
    assert file.written == 0
    assert list(read_records(path)) == []


@pytest.mark.parametrize("name", ["a_file/run.db", "a_file/deep/run.db"])
def test_a_file_that_cannot_be_created_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "a_file").touch()
    with pytest.raises(ConfigError, match=r"expected a folder to write the run file in, got .*; look at --name"):
        RunFile(tmp_path / name, RUN, planned=1)
