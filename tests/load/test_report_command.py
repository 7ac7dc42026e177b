"""`otel-llm report RUN`, and run files that are continued."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from otel_llm.cli import main
from otel_llm.load.show.rows import milliseconds
from otel_llm.sinks.stored_run import read_records, read_runs
from tests.load.conftest import Perf
from tests.load.schema_1 import make_schema_1
from tests.load.study_of_points import Told, study_of
from tests.load.test_perf import chat, wait_until
from tests.truthserver.process import TruthServer

Run = Callable[..., Perf]


def report(*words: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, "-m", "otel_llm.cli", "report", *words], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return done


def summary(text: str) -> str:
    start = text.index("Benchmarking summary")
    return text[start:].rstrip()


def test_a_run_file_says_what_the_run_said(perf: Run, truth: TruthServer, tmp_path: Path) -> None:
    """S4.53: the analysis script's lines, the summary, the same JSON."""
    run = perf(*chat(truth, "itl_ms=1;tokens=3;fault=500;fault_rate=0.3;seed=3"), "-n", "12", "--compat", "llmuses")
    done = report(str(run.run_file), "--requests", "--json", str(tmp_path / "again.json"))
    assert done.returncode == 0, done.stderr
    good = run.report["requests"]["succeeded"]
    assert 0 < good < 12
    lines = [line for line in done.stdout.splitlines() if line.startswith("prompt: ")]
    assert len(lines) == good
    assert lines[0].startswith("prompt: hello, tokens: ")
    assert lines[0].endswith(", completion:  tok tok tok, tokens: 3")
    assert summary(done.stdout) == summary(run.out)
    again = json.loads((tmp_path / "again.json").read_text())
    assert again == {**run.report, "telemetry": again["telemetry"]}


def test_a_run_that_was_killed_is_reported_from_what_it_wrote(perf: Run, truth: TruthServer, tmp_path: Path) -> None:
    run = perf.start(*chat(truth, "ttft_ms=5;itl_ms=1;tokens=5"), "--parallel", "4", "-n", "100000")
    wait_until(lambda: truth.stats()["requests"] > 300)
    run.signal(signal.SIGKILL)
    assert run.process is not None
    run.process.wait()
    done = report(str(run.run_file), "--json", str(tmp_path / "r.json"))
    assert done.returncode == 0, done.stderr
    assert "broken off before its end" in done.stdout
    made = json.loads((tmp_path / "r.json").read_text())
    assert made["requests"]["succeeded"] == len(list(read_records(run.run_file))) > 0
    assert made["measures"]["time_to_first_token"]["count"] == made["requests"]["succeeded"]


def test_append_continues_a_run_file(perf: Run, truth: TruthServer) -> None:
    """S4.18, S4.50: rows say by run_id whose they are; the guide's query goes over all of them."""
    first = perf(*chat(truth, "itl_ms=1;tokens=3"), "-n", "3")
    second = Perf(first.folder).start(*chat(truth, "itl_ms=1;tokens=5"), "-n", "2", "--append").wait()
    assert second.code == 0, second.err
    runs = read_runs(first.run_file)
    assert [run["summary"]["requests"]["succeeded"] for run in runs] == [3, 2]
    assert [len(list(read_records(first.run_file, run["id"]))) for run in runs] == [3, 2]
    db = sqlite3.connect(first.run_file)
    query = "SELECT request, response_messages, prompt_tokens, completion_tokens FROM result WHERE success='True'"
    assert [row[3] for row in db.execute(query)] == [3, 3, 3, 5, 5]
    db.close()
    assert " answered 2 of 2 requests." in report(str(first.run_file)).stdout
    assert " answered 3 of 3 requests." in report(str(first.run_file), "--run", "1").stdout
    refused = report(str(first.run_file), "--run", "3")
    assert (refused.returncode, refused.stderr) == (2, "otel-llm report: expected --run to be 1 to 2, got 3\n")


def test_a_run_file_of_schema_1_is_read_and_not_continued(
    perf: Run, truth: TruthServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There `result` was a table. What was broken off is reckoned from its rows."""
    run = perf(*chat(truth, "itl_ms=1;tokens=3;fault=500;fault_rate=0.3;seed=3"), "-n", "12")
    with closing(sqlite3.connect(run.run_file)) as db:
        db.executescript("UPDATE run SET summary = NULL")
    said = [_all_of(run.run_file, tmp_path / "new.csv", capsys)]
    make_schema_1(run.run_file)
    said.append(_all_of(run.run_file, tmp_path / "old.csv", capsys))
    assert said[0] == said[1]
    assert "completion:  tok tok tok" in said[0]
    again = Perf(run.folder).start(*chat(truth), "--append").wait()
    assert again.code == 2
    assert again.err.startswith("otel-llm perf: expected a run file of schema 2, got ")


def _all_of(run_file: Path, table: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what is told of a run, and of each of its requests."""
    assert main(["report", str(run_file), "--csv", str(table)]) == 0
    capsys.readouterr()
    assert main(["report", str(run_file), "--requests"]) == 0
    return capsys.readouterr().out + table.read_text()


def test_append_begins_a_file_that_is_not_there_and_refuses_what_is_no_run_file(perf: Run, truth: TruthServer) -> None:
    run = perf(*chat(truth, "itl_ms=1;tokens=3"), "--append")
    assert run.code == 0, run.err
    truth.reset()
    run.run_file.write_bytes(b"something of mine, and no database" * 20)
    again = Perf(run.folder).start(*chat(truth), "--append").wait()
    assert again.code == 2
    assert "expected a run file" in again.err
    assert truth.stats()["requests"] == 0
    assert run.run_file.read_bytes().startswith(b"something of mine")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE run SET schema = 7",
        "ALTER TABLE packed_result ADD COLUMN more TEXT",
        "ALTER TABLE run DROP COLUMN planned",
    ],
)
def test_append_refuses_a_run_file_of_another_schema_before_the_first_request(
    perf: Run, truth: TruthServer, change: str
) -> None:
    run = perf(*chat(truth, "itl_ms=1;tokens=3"))
    with closing(sqlite3.connect(run.run_file)) as db:
        db.execute(change)
        db.commit()
    before = run.run_file.read_bytes()
    truth.reset()
    again = Perf(run.folder).start(*chat(truth), "--append").wait()
    assert again.code == 2
    assert again.err.startswith("otel-llm perf: expected a run file of schema 2, got ")
    assert again.err.count("\n") == 1
    assert truth.stats()["requests"] == 0
    assert run.run_file.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["nothing.db"], "a run file"),
        ([__file__], "a run file"),
        ([str(Path(__file__).parent)], "a folder with run files"),
    ],
)
def test_what_is_no_run_file_is_one_line(words: list[str], wanted: str) -> None:
    done = report(*words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"otel-llm report: expected {wanted}, got ")
    assert done.stderr.count("\n") == 1


def test_lines_without_content(perf: Run, truth: TruthServer) -> None:
    run = perf(*chat(truth, "itl_ms=1;tokens=3"), "--no-content")
    done = report(str(run.run_file), "--requests")
    assert done.returncode == 2
    assert "go without --requests" in done.stderr


def test_a_folder_is_listed_a_line_each(truth: TruthServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Perf(tmp_path).start(*chat(truth, "itl_ms=1;tokens=3"), "-n", "50").wait()
    assert run.code == 0, run.err
    study_of(run.run_file, tmp_path / "a study", (Told(2), Told(4), Told(8, overloaded=True)))
    (tmp_path / "notes.db").write_text("no database")
    capsys.readouterr()
    assert main(["report", str(tmp_path)]) == 0
    head, first, second, legend = capsys.readouterr().out.splitlines()
    assert head.split() == ["when,", "UTC", "file", "what", "model", "sent", "TTFT", "p50", "p99"]
    assert max(map(len, (head, first, second))) <= 80
    rows = {line[13:].split("  ")[0]: line.split() for line in (first, second)}
    p50, p99 = (milliseconds(run.report["measures"]["time_to_first_token"][name]) for name in ("p50", "p99"))
    assert rows["run.db"][3:8] == ["run", "m", "50", p50, p99]
    assert rows["a study"][-3:] == ["ok", "to", "4"]
    assert legend == "TTFT, time to first token, in ms"
    assert main(["report", str(tmp_path), "--csv", str(tmp_path / "x")]) == 2
    assert "expected a run file to write" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["report", str(tmp_path / "empty")]) == 2
    assert "expected a folder with run files" in capsys.readouterr().err
