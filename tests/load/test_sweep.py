"""`otel-llm sweep`: many loads, one file, one table; killed and started again it goes on."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from otel_llm.errors import ConfigError
from otel_llm.load.study.loads import Load, parse_loads
from otel_llm.load.study.point import Point
from otel_llm.load.study.rows import VERDICTS, row_of
from otel_llm.load.study.table import print_sweep, summary_of
from otel_llm.sinks.stored_run import read_records, read_runs
from tests.in_process import command
from tests.load.test_perf import chat, wait_until
from tests.truthserver.process import TruthServer

DOCS = Path(__file__).parents[2] / "docs"
GREW = {"overloaded": True, "growth": 4.0, "ci95": [3.0, 5.0]}
FAST = "ttft_ms=5;itl_ms=1;tokens=4"


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "otel_llm.cli", "sweep", *words, "--name", "study.db", "--json", "study.json"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def sweep(folder: Path, *words: str) -> tuple[int, str, str]:
    process = start(folder, *words)
    out, err = process.communicate(timeout=100)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def points(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "study.json").read_text())["points"]
    return found


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "8", "2"], [1, 2, 8]), (["1..64:x2"], [1, 2, 4, 8, 16, 32, 64]), (["10..50:+20"], [10, 30, 50]),
        (["1..1.4:x1.1"], [1, 1.1, 1.21, 1.331]), (["0.5", "1..4:x2"], [0.5, 1, 2, 4]),
        (["0.1..0.3:+0.1"], [0.1, 0.2, 0.3]), (["2", "2", "1..2:+1"], [1, 2]),
    ],
)  # fmt: skip
def test_loads_are_a_list_or_ranges(texts: Sequence[str], values: Sequence[float]) -> None:
    assert [load.value for load in parse_loads("rate", texts)] == pytest.approx(values, abs=1e-9)


@pytest.mark.parametrize(
    "text", ["", "fast", "0", "-1", "inf", "nan", "4..1:x2", "1..4", "1..4:x1", "1..4:+0", "1..2:x1.0001", "1..4:5s"]
)
def test_what_are_no_loads_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match="--rate"):
        parse_loads("rate", [text])


def test_half_a_request_is_none() -> None:
    with pytest.raises(ConfigError, match="whole numbers"):
        parse_loads("parallel", ["1..4:x1.5"])
    assert str(Load("parallel", 4)) == "4 in parallel"


def test_a_sweep_is_one_file_and_one_table_and_started_again_runs_nothing(truth: TruthServer, tmp_path: Path) -> None:
    words = [*chat(truth, FAST), "--parallel", "4", "1..2:x2", "-n", "6", "--repeat", "2", "--slo", "ttft=1min"]
    code, out, err = sweep(tmp_path, *words, "--between", f"{sys.executable} -c \"open('between','a').write('.')\"")
    assert code == 0, err
    assert [(row["load"], row["repeat"]) for row in points(tmp_path)] == [
        (1, 0),
        (1, 1),
        (2, 0),
        (2, 1),
        (4, 0),
        (4, 1),
    ]
    assert [row["requests"] for row in points(tmp_path)] == [6] * 6
    assert (truth.stats()["requests"], len(read_runs(tmp_path / "study.db"))) == (36, 6)
    assert (tmp_path / "between").read_text() == "......"
    seeds = [run["arguments"]["seed"] for run in read_runs(tmp_path / "study.db")]
    assert seeds == [0, 0, 0, 1, 1, 1]
    assert out.count("\n") < 24
    before = points(tmp_path)
    again, same, _ = sweep(tmp_path, *words)
    assert (again, same, points(tmp_path)) == (0, out, before)
    assert truth.stats()["requests"] == 36


def test_a_sweep_that_was_killed_goes_on_as_if_it_had_not_been(truth: TruthServer, tmp_path: Path) -> None:
    """The run that was broken off is no point, ends by itself, and is over before the next begins."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    killed.mkdir()
    whole.mkdir()
    words = [*chat(truth, "ttft_ms=100;itl_ms=1;tokens=4"), "--rate", "30..100:+10", "-n", "24", "--seed", "3"]
    first = start(killed, *words)
    wait_until(lambda: truth.stats()["requests"] > 4 * 24 + 4)  # in the fifth of eight points
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    code, out, err = sweep(killed, *words)
    assert code == 0, err
    assert "points: the same command goes on" not in out
    assert sweep(whole, *words)[0] == 0
    same = ("number", "loop", "load", "repeat", "requests", "error_rate")
    found, expected = ([{name: row[name] for name in same} for row in points(each)] for each in (killed, whole))
    assert found == expected
    assert [row["load"] for row in found] == list(range(30, 101, 10))
    assert schedules(killed) == schedules(whole)
    assert len(read_runs(killed / "study.db")) == 9


def schedules(folder: Path) -> list[list[tuple[int | None, int]]]:
    """Return, of each point, its requests with the moments at which they were to be sent, from the first of them on."""
    found = []
    for row in points(folder):
        records = sorted(read_records(folder / "study.db", row["run_id"]), key=lambda record: record.index or 0)
        first = records[0].intended_ns or 0
        found.append([(record.index, (record.intended_ns or 0) - first) for record in records])
    return found


def test_an_interrupted_sweep_shows_what_it_has(truth: TruthServer, tmp_path: Path) -> None:
    process = start(tmp_path, *chat(truth, "ttft_ms=20;itl_ms=1;tokens=4"), "--parallel", "1", "2", "-n", "40")
    wait_until(lambda: truth.stats()["requests"] > 45)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "1 of 2 points: the same command goes on" in out
    assert [row["load"] for row in points(tmp_path)] == [1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rate", "1", "--parallel", "1", "-n", "1"], "expected either --rate or --parallel, got 'both'"),
        (["-n", "1"], "expected either --rate or --parallel, got 'neither'"),
        (["--rate", "1"], "expected -n or --duration"),
        (["--rate", "auto", "--parallel", "1", "-n", "1"], "expected either --rate or --parallel, got 'both'"),
        (["--rate", "auto", "-n", "1", "--repeat", "2"], "--rate auto without --repeat and --shuffle"),
        (["--rate", "auto", "1", "-n", "1"], "expected loads for --rate, got 'auto'"),
        (["--rate", "1", "-n", "1", "--repeat", "0"], "--repeat to be 1 or more"),
        (["--rate", "1", "-n", "1", "--jsonl", "x"], "unrecognized arguments: --jsonl"),
    ],
)
def test_bad_usage_is_exit_code_2(tmp_path: Path, words: list[str], said: str) -> None:
    done = command("sweep", "--url", "http://127.0.0.1:9/v1", "--model", "m", "--prompt", "x", *words, folder=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_what_a_run_refuses_is_said_by_the_run(tmp_path: Path) -> None:
    words = ["--url", "http://127.0.0.1:9/v1", "--model", "m", "--prompt", "x", "--rate", "1", "-n", "1"]
    code, _, err = sweep(tmp_path, *words, "--slo", "speed=1")
    assert code == 2
    assert "expected NAME=TIME" in err


def test_a_study_of_other_options_is_not_gone_on_with(truth: TruthServer, tmp_path: Path) -> None:
    assert sweep(tmp_path, *chat(truth, FAST), "--parallel", "1", "-n", "2")[0] == 0
    code, _, err = sweep(tmp_path, *chat(truth, FAST), "--parallel", "1", "-n", "3")
    assert code == 2
    assert "expected the options that the study began with, got 'study.db'; give them again, or another --name" in err
    with closing(sqlite3.connect(tmp_path / "study.db")) as db, db:
        db.execute("DROP TABLE study")
    code, _, err = sweep(tmp_path, *chat(truth, FAST), "--parallel", "1", "-n", "2")
    assert (code, "expected a study, got" in err) == (2, True)


def test_a_gate_that_fails_at_a_point_fails_the_sweep_and_an_slo_that_is_missed_does_not(
    truth: TruthServer, tmp_path: Path
) -> None:
    words = [*chat(truth, FAST), "--parallel", "1", "-n", "3", "--slo", "ttft=1us"]
    assert sweep(tmp_path, *words)[0] == 0
    (tmp_path / "study.db").unlink()
    code, _, _ = sweep(tmp_path, *words, "--fail-if", "p99_ttft>1us", "--junit", "junit.xml")
    assert code == 1
    assert '<failure message="it is ' in (tmp_path / "junit.xml").read_text()
    assert [row["slo_met"] for row in points(tmp_path)] == [False]


def report(**more: Any) -> dict[str, Any]:
    times = {"count": 9, "p50": 0.1, "p99": 0.2, "ci95": {"p50": [0.1, 0.1], "p99": [0.1, None]}}
    names = (
        *("corrected_time_to_first_token", "time_to_first_token", "inter_token_latency"),
        *("corrected_request_latency", "request_latency"),
    )
    return {
        "run": {"id": "r"}, "duration": 1.0, "requests": {"sent": 100, "succeeded": 100, "failed": 0},
        "load": {"asked": 9.0, "achieved": 9.0, "overload": None}, "request_throughput": 9.0, "gates": [],
        "output_token_throughput": 9.0, "throughput_ci95": {}, "slo": None,
        "client": {"saturated": False, "reasons": []},
        "measures": dict.fromkeys(names, times), **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ({}, "ok"),
        ({"slo": {"goodput": 1.0, "met": False}}, "missed"),
        ({"requests": {"sent": 100, "succeeded": 98, "failed": 2}}, "errors"),
        ({"load": {"asked": 9, "achieved": 5, "overload": {**GREW, "by_client": False}}}, "overload"),
        (
            {
                "load": {"asked": 9, "achieved": 5, "overload": {**GREW, "by_client": False}},
                "client": {"saturated": True, "reasons": []},
            },
            "overload",
        ),
        ({"load": {"asked": 9, "achieved": 5, "overload": {**GREW, "by_client": True}}}, "void"),
        ({"client": {"saturated": True, "reasons": []}, "slo": {"goodput": 1.0, "met": False}}, "void"),
    ],
)
def test_a_point_has_one_verdict(more: dict[str, Any], verdict: str) -> None:
    assert row_of(Point(1, "rate", 9.0), report(**more))["verdict"] == verdict


def rows(*verdicts: tuple[float, str]) -> list[dict[str, Any]]:
    found = [row_of(Point(i, "rate", load), report()) for i, (load, _) in enumerate(verdicts)]
    return [{**row, "verdict": verdict} for row, (_, verdict) in zip(found, verdicts, strict=True)]


@pytest.mark.parametrize(
    ("verdicts", "summary"),
    [
        ([(1, "ok"), (2, "ok")], "all well up to 2/s"),
        ([(1, "ok"), (2, "missed"), (4, "overload")], "all well up to 1/s; missed from 2/s"),
        ([(1, "ok"), (2, "ok"), (2, "missed"), (4, "ok")], "all well up to 1/s; missed from 2/s"),
        ([(1, "errors")], "errors from 1/s"),
        ([(1, "ok"), (2, "void")], "all well up to 1/s"),
        ([(1, "void")], "no point says anything of the server"),
    ],
)
def test_what_came_out_is_one_sentence(verdicts: list[tuple[float, str]], summary: str) -> None:
    assert summary_of(rows(*verdicts)) == summary


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_and_says_what_its_marks_mean(width: int) -> None:
    out = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    why = {"client_reasons": ["reads were late", "requests left late"]}
    many = [{**row, "goodput": 1234.5, **why} for row in rows((123456, "ok"), (2, "overload"), (4, "void"))]
    print_sweep(summary_of(many), many, None, None, out)
    text = out.export_text()
    table = text.split("\n\n")[1]
    assert max(map(len, table.splitlines())) <= width
    assert "…" not in text
    for verdict in ("overload", "void"):
        assert f"{verdict}  {VERDICTS[verdict]}" in text
    assert "      4/s: reads were late\n           requests left late\n" in text
    assert "2/s:" not in text
    assert "*  too few independent values" in text


def test_answers_without_a_first_token_have_a_column_for_how_long_they_took() -> None:
    none = {"p50": None, "p99": None, "ci95": {"p50": [None, None], "p99": [None, None]}, "infinite": 0}
    of_embeddings = [{**row, "time_to_first_token": none, "inter_token_latency": none} for row in rows((2, "ok"))]
    out = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    print_sweep(summary_of(of_embeddings), of_embeddings, None, None, out)
    text = out.export_text()
    head = text.split("\n\n")[1].splitlines()[0]
    assert head.split() == ["rate/s", "answered/s", "latency", "p50", "p99", "sent"]
    assert "latency, how long an answer took, from the moment a request was meant to be sent; in ms" in text


def test_a_study_that_cannot_be_run_leaves_no_file(truth: TruthServer, tmp_path: Path) -> None:
    words = ["--url", f"{truth.url}/rerank", "--model", "m", "--prompt", "x", "--parallel", "1", "-n", "2"]
    code, _, err = sweep(tmp_path, *words)
    assert code == 2
    assert (
        "expected documents to rank, got 'a query alone'; give them in messages before the query, or to all by "
        """--parameters documents='["…", "…"]'"""
    ) in err
    assert list(tmp_path.iterdir()) == []


def test_the_page_has_every_verdict() -> None:
    text = (DOCS / "studies.md").read_text()
    for verdict, about in VERDICTS.items():
        assert f"| `{verdict}` | {about} |" in text
