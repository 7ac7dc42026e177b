"""A run that was shared among machines, merged: what one run would have given, and nothing that does not belong."""

import json
import os
import sqlite3
import subprocess
import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from otel_llm.cli import main
from otel_llm.clock import SYSTEM, now_ns
from otel_llm.load.asked import Asked
from otel_llm.load.coordinator.run import Run
from otel_llm.load.coordinator.start import start_of
from otel_llm.load.figures.health import Health
from otel_llm.load.merge.merging import merge
from otel_llm.load.merge.parts import parts_of
from otel_llm.load.merge.shard_account import ShardAccount
from otel_llm.load.plan.arrivals import arrival_moments
from otel_llm.load.plan.share import Shard
from otel_llm.load.plan.stages import Stages
from otel_llm.measures import Facts
from otel_llm.record import Chunks, StreamRecord
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks import Ended
from otel_llm.sinks.sqlite import RunFile
from otel_llm.sinks.stored_run import StoredCall, read_answers, read_calls, read_records, read_run
from otel_llm.wire.repeats import Content
from otel_llm.wire.target import Target
from tests.load.schema_1 import make_schema_1
from tests.load.test_exchange import PLAN
from tests.load.test_report import check

ARGUMENTS = {
    "model": "m", "parallel": 4, "slo": ["ttft=25ms"], "slo_attainment": 0.9, "fail_if": ["p99_ttft>1s"], "name": "x",
}  # fmt: skip
SECOND = 1_000_000_000


def record(index: int, sent_ns: int, gaps_ms: Sequence[int], outcome: str = "complete") -> StreamRecord:
    at = [sent_ns + 1_000_000 * sum(gaps_ms[: n + 1]) for n in range(len(gaps_ms))]
    many = len(at)
    chunks = Chunks(
        array("q", at), array("I", range(1, many + 1)), array("B", [1] * many), array("I", [9] * many),
        array("I", [1] * many), array("q", [50_000] * many),
    )  # fmt: skip
    return StreamRecord(
        index=index, model="m", kind="client", stream=True, sent_ns=sent_ns, due_ns=sent_ns - 1000,
        intended_ns=sent_ns - 2000, ended_ns=(at[-1] if at else sent_ns) + 1000, chunks=chunks, outcome=outcome,  # type: ignore[arg-type]
        error_type="500" if outcome == "error" else None, input_tokens=5, output_tokens=many,
        token_source="provider", flags=("short",) if index % 7 == 0 else (),
    )  # fmt: skip


def answer_of(record: StreamRecord) -> Content:
    """Return its events: one that is like no other, and some that differ in their text."""
    content = Content(around=[(b'{"text":"', b'"}')])
    content.add([b'{"begins":%d}' % (record.index or 0)])
    content.add_texts([b"%d" % at for at in range(len(record.chunks))] or [b"none"])
    return content


def write(
    path: Path,
    shard: Shard,
    records: Sequence[StreamRecord],
    of: int,
    *,
    moved_ns: int = 0,
    boot: str = "b",
    **more: Any,
) -> Path:
    """Write the run file of a shard whose monotonic clock reads so much more than that of the others."""
    run = {"id": f"{shard.which:032x}", "name": path.stem, "started_at": f"2026-01-01T00:00:0{shard.which}+00:00",
           "arguments": {**ARGUMENTS, "shard": str(shard), **more}, "versions": {}}  # fmt: skip
    file = RunFile(path, run, len(records), clock_origin=7 * SECOND - moved_ns)
    facts = Facts.of(*(record.moved(moved_ns) for record in records))
    file.take([Ended(fact, b"{}", answer_of(fact.record)) for fact in facts])
    lags = [1000 * (record.index or 0) for record in records]
    account = ShardAccount(
        shard=shard, machine=f"node-{shard.which}", boot=boot, of=of, planned=len(records), due=len(records), lost={},
        skipped={}, start_ns=SECOND + moved_ns, level=True, asked=[(r.index or 0, Asked(5, 3)) for r in records],
        health=Health(1, cpu_s=0.5, clocks={"kernel receive stamps"}, loop_lag_ns=lags),
    )  # fmt: skip
    file.add_account(msgspec.json.encode(account))
    file.close({"ended_by": "requests", "warmup": {"requests": 1, "succeeded": 1, "failed": 0}, "telemetry": None,
                "notes": ["a note"], "flags": {}, "requests": {"sent": len(records)}})  # fmt: skip
    return path


def merged(folder: Path, files: Sequence[Path], **options: bool) -> dict[str, Any]:
    into = folder / f"merged-{len(files)}.db"
    report = dict(merge(parts_of(files, **options), into).report)
    check(msgspec.to_builtins(report))
    assert read_run(into)["summary"] == json.loads(msgspec.json.encode(report))
    return report


def comparable(report: dict[str, Any]) -> bytes:
    """Return what does not say on how many machines it was, byte for byte."""
    client = {k: v for k, v in report["client"].items() if k not in ("cpu_seconds", "workers")}
    left = ("run", "machines", "warmup", "client")
    return msgspec.json.encode({**{k: v for k, v in report.items() if k not in left}, "client": client})


@pytest.mark.parametrize("seed", range(3))
def test_a_run_split_by_rows_and_merged_gives_the_report_of_one(seed: int, tmp_path: Path) -> None:
    """Byte for byte; requests go to shards at random, and each shard has a clock of its own."""
    dice = Random(seed)
    outcomes = ("complete", "complete", "complete", "error", "cancelled")
    records = [
        record(i, 2 * SECOND + dice.randrange(3 * SECOND), [dice.randint(1, 40) for _ in range(dice.randint(1, 4))],
               dice.choice(outcomes))
        for i in range(dice.randint(20, 150))
    ]  # fmt: skip
    records.sort(key=lambda each: each.ended_ns)
    owner = {each.index: dice.randrange(3) for each in records}
    one = merged(tmp_path, [write(tmp_path / "whole.db", Shard(0, 1), records, len(records))])
    dealt = [[each for each in records if owner[each.index] == which] for which in range(3)]
    three = merged(
        tmp_path,
        [
            write(tmp_path / f"{which}.db", Shard(which, 3), mine, len(records), moved_ns=which * SECOND + which,
                  boot=f"boot-{which}")
            for which, mine in enumerate(dealt)
        ],
    )  # fmt: skip
    assert comparable(one) == comparable(three)
    assert rows(tmp_path / "whole.db") == rows(tmp_path / "merged-1.db") == rows(tmp_path / "merged-3.db")
    assert [machine["requests"]["sent"] for machine in three["machines"]] == [len(mine) for mine in dealt]


def test_answers_of_both_schemas_come_through(tmp_path: Path) -> None:
    """Before schema 2, `result` was a table."""
    records = [record(index, SECOND * (2 + index), [20, 10]) for index in range(4)]
    files = [write(tmp_path / f"{which}.db", Shard(which, 2), records[which::2], 4) for which in range(2)]
    make_schema_1(files[1])
    merged(tmp_path, files)
    into = tmp_path / "merged-2.db"
    answers = [json.loads(each.messages or "") for each in read_answers(into, read_run(into)["id"])]
    assert answers == [[f'{{"begins":{index}}}', '{"text":"0"}', '{"text":"1"}'] for index in range(4)]


def rows(path: Path) -> list[StoredCall]:
    return list(read_calls(path, read_run(path)["id"]))


def two(folder: Path, **more: Any) -> list[Path]:
    records = [record(i, 2 * SECOND + i * 1_000_000, [5, 5]) for i in range(10)]
    return [write(folder / f"{w}.db", Shard(w, 2), records[w::2], 10, **more) for w in range(2)]


def test_what_was_lost_and_skipped_is_counted_and_a_limit_is_said_of_its_machine(tmp_path: Path) -> None:
    files = two(tmp_path)
    late = write(tmp_path / "late.db", Shard(1, 2), [record(1, 2 * SECOND, [5, 5])], 10)
    account = parts_of([late], partial=True)[0].account
    account.lost, account.skipped, account.due, account.planned = {"worker_died": 3}, {"turn_failed": 1}, 4, 5
    account.health.loop_lag_ns, account.health.died = [SECOND] * 100, ["worker 0 died (exit code -9)"]
    account.health.clocks = {"user-space stamps"}
    with sqlite3.connect(late) as db:
        db.execute("UPDATE shard SET account = ?", (msgspec.json.encode(account).decode(),))
    report = merged(tmp_path, [files[0], late])
    assert report["requests"]["planned"] == 10
    assert report["requests"]["errors"] == {"worker_died": 3}
    assert report["requests"]["skipped"] == {"turn_failed": 1}
    assert report["measures"]["corrected_request_latency"]["infinite"] == 3
    assert report["client"]["saturated"]
    assert all(reason.startswith("shard 2/2 on node-1: ") for reason in report["client"]["reasons"])
    assert [machine["client"]["saturated"] for machine in report["machines"]] == [False, True]


def test_a_shard_that_left_nothing_is_refused_or_accounted_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _ = two(tmp_path)
    into = tmp_path / "all.db"
    assert main(["merge", str(first), "--into", str(into)]) == 2
    assert "the run files of all 2 shards, got 'none of shard 2'" in capsys.readouterr().err
    assert not into.exists()
    assert main(["merge", str(first), "--into", str(into), "--partial"]) == 1
    said = capsys.readouterr()
    assert "shard_missing 5" in said.out
    assert "1 of 2 shards left no run file" in said.err
    assert read_run(into)["summary"]["requests"]["errors"] == {"shard_missing": 5}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda f: [*two(f), f / "0.db"], "each shard once, got"),
        (lambda f: [two(f)[0], write(f / "o.db", Shard(1, 3), [], 10)], "shards of one run"),
        (lambda f: [two(f)[0], write(f / "o.db", Shard(1, 2), [], 10, model="n")], "which differ in --model"),
        (lambda f: [two(f)[0], write(f / "o.db", Shard(1, 2), [], 11)], "every machine needs the same prompts"),
        (lambda f: [two(f)[0], write(f / "o.db", Shard(1, 2), [record(0, SECOND, [1])], 10)], "each request in one"),
        (lambda f: [f / "nowhere.db"], "a run file"),
    ],
)
def test_what_does_not_belong_together_is_refused_in_one_line(
    make: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    into = tmp_path / "all.db"
    assert main(["merge", *map(str, make(tmp_path)), "--into", str(into)]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not into.exists()


def test_a_run_that_was_not_shared_is_no_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = {"id": "r", "name": "n", "started_at": "", "arguments": {}, "versions": {}}
    RunFile(tmp_path / "one.db", run, 1).close({})
    assert main(["merge", str(tmp_path / "one.db"), "--into", str(tmp_path / "all.db")]) == 2
    assert "a run that was not shared" in capsys.readouterr().err


@pytest.mark.timeout(600)
@pytest.mark.parametrize("loop", [("--rate", "100"), ("--parallel", "5")])
def test_processes_of_an_indexed_job_send_what_one_run_sends(loop: tuple[str, ...], tmp_path: Path) -> None:
    """Three processes on one folder, each told its number as Kubernetes does."""
    with SimProcess(Behaviour(ttft_ms=5, itl_ms=1, tokens=6)) as sim:
        command = [sys.executable, "-m", "otel_llm.cli", "perf", "--url", sim.url, "--model", "m", "--prompt", "x",
                   "-n", "50", "--seed", "3", "--workers", "2", *loop]  # fmt: skip
        one = subprocess.run([*command, "--name", "one.db"], cwd=tmp_path, capture_output=True, check=False)
        assert one.returncode == 0, one.stderr
        pods = [
            subprocess.Popen(
                [*command, "--shard", "index/3", "--name", "pod.db"], cwd=tmp_path,
                env={**os.environ, "JOB_COMPLETION_INDEX": str(index)},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
            for index in range(3)
        ]  # fmt: skip
        for pod in pods:
            out, _ = pod.communicate(timeout=300)
            assert pod.returncode == 0, out
    parts = parts_of(tmp_path / f"pod-{number}-of-3.db" for number in (1, 2, 3))
    report = merged(tmp_path, [part.path for part in parts])
    single = read_run(tmp_path / "one.db")["summary"]
    assert report["requests"] == single["requests"]
    assert report["tokens"] == single["tokens"]
    for name in ("time_to_first_token", "inter_token_latency", "request_latency"):
        assert report["measures"][name]["count"] == single["measures"][name]["count"]
    if loop[0] == "--rate":
        planned = dict(enumerate(islice(arrival_moments("poisson", Stages.steady(100), 3), 50)))
        for part in parts:
            for each in read_records(part.path):
                assert (each.intended_ns or 0) - (part.account.start_ns or 0) == planned.pop(each.index or 0)
        assert not planned


@pytest.fixture
def server() -> Iterator[str]:
    with SimProcess(Behaviour(ttft_ms=1, itl_ms=1, tokens=2)) as sim:
        yield f"{sim.url}/v1/chat/completions"


def test_a_run_begins_at_the_moment_that_was_agreed_on_or_not_at_all(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = replace(PLAN, target=Target.parse(server), number=3)
    now = now_ns()
    agreed = replace(plan, start_at_ns=SYSTEM.wall_ns(now) + 60 * SECOND)
    at, late = start_of(agreed, lead_ns=0)
    assert abs(at - now - 60 * SECOND) < SECOND
    assert late is None
    over = Run(replace(plan, start_at_ns=SYSTEM.wall_ns(now) - SECOND), name="late.db").go()
    assert over.report["requests"]["errors"] == {"too_late": 3}
    assert "after the moment of --start-at" in (over.health.unreachable or ("", ""))[1]
    assert over.exit_code() == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--shard", "0/2"), "--shard K/N with K from 1 to N"),
        (("--shard", "3/2"), "--shard K/N with K from 1 to N"),
        (("--shard", "index/2"), "JOB_COMPLETION_INDEX in the environment"),
        (("--shard", "1/2", "--max-tokens-total", "9"), "--shard without --max-tokens-total"),
        (("--shard", "1/2", "--ray", "auto"), "either --shard or --ray"),
        (("--ray", "auto", "--workers", "2"), "--per-node with --ray"),
        (("--per-node", "0"), "--per-node to be 1 or more"),
        (("--start-at", "1"), "--start-at with a moment to come"),
        (("--start-at", "2026-01-01T00:00:00"), "a moment and its zone"),
        (("--shard", "2/2", "-n", "1"), "a session for every shard"),
    ],
)
def test_shards_that_cannot_be_are_refused_in_one_line(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOB_COMPLETION_INDEX", raising=False)
    assert main(["perf", "--model", "m", "--prompt", "x", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir()), "no file is left behind"
