"""`otel-llm compare` of several runs of one load: a run is the unit, since runs may differ more than requests do."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from benchmarks.repeated_runs import alarms
from otel_llm.cli import main
from otel_llm.load.compare.difference import difference_of
from otel_llm.load.compare.estimate import Estimate
from otel_llm.load.compare.repeats import mean_of_runs, spread_between, within_runs
from otel_llm.load.figures.student import student_quantile
from otel_llm.sim import Behaviour, SimProcess
from tests.load.conftest import Perf
from tests.load.study_of_points import Told, study_of

SLEEP = (
    (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0),
    (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4),
)
"""Hours of sleep gained by two drugs: the example of Student (1908)."""
PACES_MS = (20, 36, 22, 34)


def surely(*values: float) -> list[Estimate]:
    return [Estimate(value, value, value) for value in values]


def test_quantiles_of_student_are_those_of_the_tables() -> None:
    table = {(0.975, 1): 12.7062, (0.975, 2): 4.3027, (0.975, 4): 2.7764, (0.975, 9): 2.2622, (0.975, 120): 1.9799,
             (0.8, 3): 0.9785, (0.995, 7): 3.4995}  # fmt: skip
    assert {asked: round(student_quantile(*asked), 4) for asked in table} == table


def test_two_groups_of_runs_differ_by_students_test() -> None:
    """The 95 % interval that statistics programs print for the two samples, taken for independent."""
    one, other = (surely(*values) for values in SLEEP)
    spread = spread_between(one, other)
    assert spread is not None
    assert spread.degrees == 18
    found = difference_of(within_runs(one), within_runs(other), comparisons=1, less_is_better=False, spread=spread)
    assert (found.low, found.high) == pytest.approx((-0.203874, 3.363874), abs=1e-6)
    assert found.verdict == "no evidence"
    assert found.visible == pytest.approx(spread.error * (2.1009 + 0.8620), rel=1e-4)


def test_an_interval_is_never_narrower_than_those_of_the_runs() -> None:
    alike = [Estimate(100, 90, 112)] * 4
    assert mean_of_runs(alike) == Estimate(100, 95, 106)
    assert mean_of_runs(alike[:1]) == alike[0]
    assert mean_of_runs(surely(1, 3)).low == 0  # and no time is below 0
    spread = spread_between(alike, alike)
    found = difference_of(
        within_runs(alike), within_runs([Estimate(108, 98, 120)] * 4), comparisons=1, less_is_better=True, spread=spread
    )
    assert found.high == pytest.approx(8 + (6**2 + 5**2) ** 0.5)
    assert within_runs([*alike, Estimate(100, 90, None)]).high is None
    assert spread_between(alike[:1], alike[:1]) is None


def test_a_single_run_beside_several_is_taken_to_vary_as_they_do() -> None:
    spread = spread_between(surely(100), surely(90, 100, 110))
    assert spread is not None
    assert (spread.degrees, spread.error) == (2, pytest.approx(10 * (1 + 1 / 3) ** 0.5))


def test_among_many_comparisons_the_interval_is_students_too() -> None:
    one, other = surely(100, 101, 102), surely(110, 111, 112)
    spread = spread_between(one, other)
    verdicts = [
        difference_of(
            within_runs(one), within_runs(other), comparisons=comparisons, less_is_better=True, spread=spread
        ).verdict
        for comparisons in (1, 12, 10_000)
    ]
    assert verdicts == ["worse", "worse", "perhaps worse"]


def test_runs_that_differ_are_no_false_alarms() -> None:
    """A small part of `benchmarks/repeated_runs.py`: as if there were one run only, most pairs would be alarms."""
    found = alarms(3, 0.1, pairs=30)
    assert found.by_runs <= 3
    assert found.alone > 15
    assert found.pooled > 2 * found.by_runs
    assert found.found > 18


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of four runs: the server is at times slow, and hardly varies from request to request."""
    folder, port = tmp_path_factory.mktemp("repeats"), 0
    for pace in PACES_MS:
        with SimProcess(Behaviour(ttft_ms=pace, itl_ms=1, tokens=4, jitter="uniform", amp=0.1), port=port) as sim:
            port = urlsplit(sim.url).port or 0
            words = ("--url", f"{sim.url}/v1/chat/completions", "--model", "m", "--prompt", "Why?")
            run = Perf(folder).start(*words, "-n", "120", "--parallel", "4", "--append").wait()
            assert run.code == 0, run.err
    return folder / "run.db"


def compared(folder: Path, *words: str) -> list[dict[str, Any]]:
    out = folder / "c.json"
    assert main(["compare", *words, "--anyway", "--json", str(out)]) == 0
    found: list[dict[str, Any]] = json.loads(out.read_text())
    return found


def first_token(found: dict[str, Any]) -> dict[str, Any]:
    (row,) = (each for each in found["compared"] if each["figure"] == "time to first token p50")
    return dict(row)


def test_runs_that_differ_more_than_their_requests_show_no_difference(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two single runs one is worse, and is not: only repeats show how much the server varies."""
    (alone,) = compared(tmp_path, f"{runs}#1", f"{runs}#2")
    row = first_token(alone)["difference"]
    assert row["by"] > 0.01
    assert row["verdict"] in ("worse", "too few values")  # too few where a busy machine makes requests depend
    assert alone["runs"] == [1, 1]
    capsys.readouterr()
    words = (f"{runs}#1,2", f"{runs}#3,4")
    (together,) = compared(tmp_path, *words, "--html", str(tmp_path / "c.html"))
    assert (together["first"], together["second"]) == ("run.db#1,2", "run.db#3,4")
    assert (together["runs"], together["paired"]) == ([2, 2], None)
    row = first_token(together)
    assert row["difference"]["verdict"] == "no evidence"
    assert row["difference"]["visible"] > abs(row["difference"]["by"])
    assert row["first"]["value"] == pytest.approx(0.028, abs=0.008)
    assert "run.db#1,2 the mean of 2 runs, run.db#3,4 the mean of 2 runs" in capsys.readouterr().out
    assert "240 requests" in (tmp_path / "c.html").read_text()
    late = next(each for each in together["compared"] if each["figure"] == "time to first token p99")
    assert late["difference"]["verdict"] == "too few values"  # 120 requests have no p99, and several of them neither


def test_a_file_is_its_latest_run_with_those_that_did_the_same(runs: Path, tmp_path: Path) -> None:
    """A file alone: its loads; where it has but one, run by run."""
    (found,) = compared(tmp_path, f"{runs}#1", str(runs))
    assert (found["second"], found["runs"]) == ("run.db", [1, 4])
    assert [each["second"] for each in compared(tmp_path, str(runs))] == ["run.db#2", "run.db#3", "run.db#4"]
    mixed = Path(shutil.copy(runs, tmp_path / "mixed.db"))
    with closing(sqlite3.connect(mixed)) as db, db:
        db.execute("UPDATE run SET arguments = json_set(arguments, '$.parallel', 8) WHERE rowid > 2")
        db.execute("UPDATE run SET summary = NULL WHERE rowid = 3")
    assert [(each["first"], each["second"]) for each in compared(tmp_path, str(mixed))] == [
        ("mixed.db#1,2", "mixed.db#3"),
        ("mixed.db#1,2", "mixed.db#4"),
    ]
    with closing(sqlite3.connect(mixed)) as db, db:
        db.execute("UPDATE run SET versions = json_set(versions, '$.server', '2') WHERE rowid = 1")
    assert compared(tmp_path, str(mixed))[0]["second"] == "mixed.db#2"  # a server of another version is another


def test_numbers_of_runs_that_are_none_are_one_line(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("#1,9", "#1,", "#0", "#1-2"):
        assert main(["compare", f"{runs}{word}", str(runs)]) == 2
        said = capsys.readouterr().err
        assert "run.db#1 to " in said
        assert said.count("\n") == 1


def test_repeats_of_a_sweep_are_put_together(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def repeated(name: str, *factors: float) -> str:
        told = [Told(load, factor, repeat=at) for load in (4, 8) for at, factor in enumerate(factors)]
        return str(study_of(runs, tmp_path / name, told))

    before, after = repeated("before.db", 1, 1.3, 0.9), repeated("after.db", 1.1, 0.8, 1.4)
    found = compared(tmp_path, before, after)
    assert [(each["at"], each["runs"]) for each in found] == [("4/s", [3, 3]), ("8/s", [3, 3])]
    assert first_token(found[0])["difference"]["verdict"] == "no evidence"
    assert "before.db the mean of 3 runs" in capsys.readouterr().out
    slower = compared(tmp_path, before, repeated("slow.db", 3.1, 2.9, 3.0))
    assert first_token(slower[1])["difference"]["verdict"] == "worse"
