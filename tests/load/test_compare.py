"""`otel-llm compare`: what it calls a difference, what it refuses, and what it writes."""

import copy
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from benchmarks.comparing import outcomes, paired_outcomes
from benchmarks.coverage import CASES
from benchmarks.known_shift import CASES as SHIFTED
from benchmarks.known_shift import kept
from otel_llm.cli import main
from otel_llm.load.compare.comparison import Compared, compare
from otel_llm.load.compare.difference import difference_of, share_estimate
from otel_llm.load.compare.estimate import Estimate
from otel_llm.load.compare.pairing import correlation_of, pair
from otel_llm.load.compare.views import cells_of
from otel_llm.load.figures.health import Health
from otel_llm.load.figures.run_figures import RunFigures
from otel_llm.measures import Facts
from otel_llm.sinks import Ended
from otel_llm.sinks.sqlite import RunFile
from otel_llm.testing import timeline
from tests.load.conftest import Perf
from tests.load.study_of_points import Told, study_of
from tests.load.test_perf import chat
from tests.truthserver.process import TruthServer

KNOBS = "ttft_ms=20;itl_ms=2;tokens=8;jitter=lognormal;amp=0.3;seed=4"
SLOWER = "ttft_ms=60;itl_ms=2;tokens=8;jitter=lognormal;amp=0.3;seed=5"


def differs(first: Estimate, second: Estimate, comparisons: int = 1) -> str:
    return difference_of(first, second, comparisons=comparisons, less_is_better=True).verdict


def test_a_difference_is_put_together_of_two_intervals() -> None:
    found = difference_of(Estimate(10, 7, 14), Estimate(20, 16, 23), comparisons=1, less_is_better=True)
    assert (found.by, found.share) == (10, 1.0)
    assert (found.low, found.high) == pytest.approx((10 - np.hypot(4, 4), 10 + np.hypot(3, 3)))
    assert found.visible == pytest.approx((np.hypot(4, 4) + np.hypot(3, 3)) / 2 * 1.4294, rel=1e-4)
    assert found.verdict == "worse"


def test_an_interval_with_one_end_shows_it_where_the_verdict_rests_on_it() -> None:
    first, second = Estimate(0.1, 0.09, 0.11), Estimate(0.2, 0.18, None)
    for one, other, reach in ((first, second, "above +77.64"), (second, first, "below −77.64")):
        found = difference_of(one, other, comparisons=1, less_is_better=True)
        cells = cells_of(Compared("time to first token p90", "s", one, other, found))
        assert (cells[4], cells[-1]) == (reach, found.verdict)
        assert found.verdict in ("worse", "better")


def test_figures_of_runs_of_one_size_differ_where_their_narrower_intervals_are_apart() -> None:
    """Above, a p99 of few values is further off, and more so the further."""
    first, second = Estimate(10, 6.36, 15.78, 7.3, 13.71), Estimate(20, 16.36, 25.78, 17.3, 23.71)
    found = difference_of(first, second, comparisons=1, less_is_better=True)
    assert found.low is not None
    assert found.high == pytest.approx(20 - found.low)
    assert 2.7 + 3.71 <= 10 - found.low < np.hypot(3.64, 5.78)
    # where one run has next to no error of its own, the 95 % interval of the other decides
    known = difference_of(Estimate(10, 10, 10, 10, 10), second, comparisons=1, less_is_better=True)
    assert known.low == pytest.approx(10 - 3.64, rel=0.05)
    # and in proportion, both rules are one
    even = [Estimate(at, at - 1.96, at + 1.96, at - 1.96 / np.sqrt(2), at + 1.96 / np.sqrt(2)) for at in (10, 20)]
    for alike in (0.0, 0.6, -0.6):
        both = [
            difference_of(*pair, comparisons=1, less_is_better=True, correlation=alike).low
            for pair in (even, [Estimate(each.value, each.low, each.high) for each in even])
        ]
        assert both[0] == pytest.approx(both[1], rel=1e-4)


def test_verdicts() -> None:
    about_10 = Estimate(10, 9, 11)
    assert differs(about_10, Estimate(8, 7, 9)) == "better"
    assert differs(about_10, Estimate(10.5, 9.5, 11.5)) == "no evidence"
    assert differs(about_10, about_10) == "no evidence"
    assert differs(about_10, Estimate(12, 11, 13)) == "worse"
    assert differs(about_10, Estimate(11.6, 10.6, 12.6), comparisons=12) == "perhaps worse"
    assert differs(about_10, Estimate(12, None, 13)) == "too few values"
    assert differs(about_10, Estimate(12, None, None)) == "too few values"
    more = difference_of(about_10, Estimate(12, 11, 13), comparisons=1, less_is_better=False)
    assert more.verdict == "better"


def test_a_share_has_wilsons_interval_and_a_difference_of_shares_newcombes() -> None:
    """The first example of Newcombe (1998): 56 of 70 less 48 of 80, method 10: 0.0524 to 0.3339."""
    found = difference_of(share_estimate(48, 80), share_estimate(56, 70), comparisons=1, less_is_better=True)
    assert (found.by, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert share_estimate(0, 20).low == 0
    assert share_estimate(20, 20).high == 1


@pytest.mark.parametrize("name", ["independent", "AR(1), 0.5"])
def test_runs_of_one_server_seldom_differ_and_true_differences_are_found(name: str) -> None:
    """A small part of `benchmarks/comparing.py`: 8 % of false alarms at most, four of five differences found."""
    middle = next(outcomes(CASES[name](), 400, 100))
    assert middle.given > 90
    assert middle.alarms <= 8
    assert 0.65 < middle.found / middle.shifted < 0.97


@pytest.mark.parametrize(
    ("name", "count", "q"),
    [
        ("independent, lognormal 0.3", 2_000, 99),
        ("independent, lognormal 0.3", 10_000, 99),
        ("queue of 8, load 0.8", 10_000, 90),
    ],
)
def test_a_shift_of_5_percent_is_found_as_often_as_promised(name: str, count: int, q: int) -> None:
    """A small part of `benchmarks/known_shift.py`; at p99 a queue takes 100,000 requests."""
    found = kept(SHIFTED[name](), count, pairs=40, q=q)
    assert found.given > 36
    assert found.alarms <= 4
    assert abs(found.found - found.promised) <= 7


def test_what_both_have_in_common_is_not_in_their_difference() -> None:
    """Zou's interval for correlated figures: 3² + 4² − 2 · 0.5 · 3 · 4 = 13."""
    one, other = Estimate(10, 7, 13), Estimate(20, 16, 24)
    found = difference_of(one, other, comparisons=1, less_is_better=True, correlation=0.5)
    assert (found.low, found.high) == pytest.approx((10 - np.sqrt(13), 10 + np.sqrt(13)))
    alike = difference_of(one, Estimate(11, 8, 14), comparisons=1, less_is_better=True, correlation=1.0)
    assert (alike.low, alike.verdict) == (1, "worse")


def test_series_of_the_same_prompts_are_alike_and_others_are_not() -> None:
    random = np.random.default_rng(3)
    one, other, noise = random.normal(size=(3, 4000))
    assert correlation_of(one, other) == pytest.approx(0, abs=0.2)
    assert correlation_of(one, one + noise) == pytest.approx(np.sqrt(0.5), abs=0.1)
    assert correlation_of(one, np.zeros(4000)) == 0


def test_pairs_show_smaller_differences_and_no_more_false_alarms() -> None:
    """A small part of `benchmarks/comparing.py`."""
    apart, paired = (next(paired_outcomes("same prompts", 400, 100, paired=each)) for each in (False, True))
    assert paired.visible < 0.65 * apart.visible
    assert paired.alarms <= 8
    assert 0.65 < paired.found / paired.shifted < 0.97


def prompted(path: Path, random: np.random.Generator, *, backwards: bool) -> tuple[Path, dict[str, Any]]:
    """A run file of 400 prompts, and its report: the longer a prompt, the later its tokens, but for a tenth."""
    run: dict[str, Any] = {"id": path.stem, "name": "n", "started_at": "2026-01-01T00:00:00Z", "versions": {}}
    figures, file = RunFigures(400), RunFile(path, {**run, "arguments": {}}, 400)
    lengths = np.random.default_rng(1).permutation(400)
    for at in range(400):
        prompt = 399 - at if backwards else at
        first, gap = (np.array((lengths[prompt] % 40 + 5, 8)) * random.lognormal(0, 0.1, 2) * 1e6).astype(int).tolist()
        text = "r" + "." * (first // 1_000_000) + "a" + "." * (gap // 1_000_000) + "b|"
        record = msgspec.structs.replace(timeline(text), index=at)
        body = json.dumps({"model": path.stem, "messages": [{"role": "user", "content": f"prompt {prompt}"}]})
        (facts,) = Facts.of(record)
        figures.add([facts])
        file.take([Ended(facts, body.encode())])
    report = {"run": {**run, "arguments": {}}, **figures.report(Health(1), 0)}
    file.close(report)
    return path, report


def test_run_files_are_paired_by_prompt_in_whatever_order_they_were_sent(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    one, other = (prompted(tmp_path / f"{each}.db", random, backwards=each == "b") for each in "ab")
    paired = pair(one, other)
    assert paired is not None
    assert paired.requests == 400
    assert paired.correlations["time_to_first_token", "p50"] > 0.7
    assert paired.correlations["inter_token_latency", "p50"] < 0.4
    visible = []
    for each in (None, paired):
        found = compare(("a", "b"), [one[1]], [other[1]], each)
        (row,) = [row for row in found.compared if row.figure == "time to first token p50"]
        visible.append(row.difference.visible or 0)
    assert 0 < visible[1] < 0.6 * visible[0]


def test_studies_are_compared_load_by_load(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = study_of(runs / "file.db", tmp_path / "before.db", (Told(2), Told(4), Told(8)))
    after = study_of(runs / "file.db", tmp_path / "after.db", (Told(4, 2), Told(8, 3), Told(16)))
    out = tmp_path / "c.json"
    words = ["compare", str(before), str(after), "--json", str(out), "--html", str(tmp_path / "c.html")]
    assert main(words) == 0
    found = json.loads(out.read_text())
    assert [(each["first"], each["second"], each["at"]) for each in found] == [
        ("before.db", "after.db", "4/s"),
        ("before.db", "after.db", "8/s"),
    ]
    assert "after.db against before.db at 8/s\n" in capsys.readouterr().out
    assert {row["difference"]["verdict"] for each in found for row in each["compared"]} >= {"worse"}
    page = (tmp_path / "c.html").read_text()
    assert "after.db against before.db at 8/s" in page
    assert "2 loads in common: 4/s, 8/s" in page
    capsys.readouterr()
    assert main(["compare", str(before), str(runs / "1.json"), "--anyway"]) == 2
    assert "two runs or two studies" in capsys.readouterr().err
    other = study_of(runs / "file.db", tmp_path / "other.db", (Told(3),))
    assert main(["compare", str(before), str(other)]) == 2
    assert "a load in common" in capsys.readouterr().err


def test_searches_are_compared_by_their_limits(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an interval of a limit the bracket stands for it; searches for other SLOs, or without limit, are none."""

    def search(name: str, *told: Told, loop: str = "rate") -> str:
        return str(study_of(runs / "file.db", tmp_path / name, told, kind="find", loop=loop))

    before = search("before.db", Told(4, certainty="holds"), Told(8, certainty="breaks"))
    after = search("after.db", Told(4, certainty="holds"), Told(16, certainty="holds"), Told(24, certainty="breaks"))
    out = tmp_path / "c.json"
    assert main(["compare", before, after, "--json", str(out), "--html", str(tmp_path / "c.html")]) == 0
    (found,) = json.loads(out.read_text())
    (limit,) = found["compared"]
    assert (limit["figure"], limit["unit"], limit["difference"]["verdict"]) == ("limit", "1/s", "better")
    ends = {"low": 4, "high": 8, "near_low": None, "near_high": None}
    assert limit["first"] == {"value": pytest.approx(np.sqrt(32)), **ends}
    assert limit["second"]["value"] == pytest.approx(np.sqrt(16 * 24))
    assert "before.db holds at 4/s, breaks at 8/s" in capsys.readouterr().out
    assert "after.db against before.db: 1 of 1 figures got better." in (tmp_path / "c.html").read_text()
    assert main(["compare", after, before, "--fail-if", "worse"]) == 1
    open_ended = search("open.db", Told(4, certainty="holds"))
    parallel = search("parallel.db", Told(4, certainty="holds"), Told(8, certainty="breaks"), loop="parallel")
    with closing(sqlite3.connect(shutil.copy(before, tmp_path / "strict.db"))) as db, db:
        db.execute("UPDATE run SET summary = json_set(summary, '$.slo.terms.ttft', json('{\"limit\": 0.5}'))")
    capsys.readouterr()
    for other, says in (
        (open_ended, "a search that found a limit"),
        (parallel, "searches of one kind of load"),
        (str(tmp_path / "strict.db"), "strict.db to ttft 0.5 s for 99%"),
    ):
        assert main(["compare", before, other]) == 2
        said = capsys.readouterr().err
        assert says in said
        assert said.count("\n") == 1
    assert main(["compare", before, str(tmp_path / "strict.db"), "--anyway"]) == 0


@pytest.fixture(scope="module")
def runs(_truth_process: TruthServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `file.db`, of two runs of one server and one of a slower one, and their reports."""
    folder = tmp_path_factory.mktemp("compare")
    for at, knobs in enumerate((KNOBS, KNOBS, SLOWER), 1):
        words = [*chat(_truth_process, knobs), "-n", "200", "--parallel", "4", "--append"]
        run = Perf(folder).start(*words).wait()
        assert run.code == 0, run.err
        shutil.move(folder / "report.json", folder / f"{at}.json")
    shutil.move(folder / "run.db", folder / "file.db")
    return folder


@pytest.fixture
def reports(runs: Path) -> list[dict[str, Any]]:
    return [trusted(json.loads((runs / f"{at}.json").read_text())) for at in (1, 2, 3)]


def trusted(report: dict[str, Any]) -> dict[str, Any]:
    """The report as of a run whose client kept up: on a busy machine it may not have."""
    return {**report, "client": {**report["client"], "saturated": False, "reasons": []}}


def sure(report: dict[str, Any]) -> dict[str, Any]:
    """The report with intervals of 3 % to each side: how long those of a run are depends on how busy the machine is."""
    found = copy.deepcopy(report)
    for row in found["measures"].values():
        row["ci95"] = (
            {name: [row[name] and row[name] * 0.97, row[name] and row[name] * 1.03] for name in row["ci95"]}
            if (row["count"])
            else {}
        )
        row.pop("ci83", None)
    return found


def test_a_slower_server_is_worse_and_the_same_is_not(
    reports: list[dict[str, Any]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """JSON, Markdown and terminal say the same, and the exit code follows --fail-if."""
    files = [tmp_path / f"{name}.json" for name in ("before", "again", "slower")]
    for file, report in zip(files, (reports[0], reports[0], reports[2]), strict=True):
        file.write_text(json.dumps(sure(report)))
    out = tmp_path / "c.json"
    words = [*map(str, files), "--json", str(out), "--markdown", str(tmp_path / "c.md")]
    assert main(["compare", *words, "--fail-if", "worse"]) == 1
    same, slower = json.loads(out.read_text())
    assert [same["second"], slower["second"]] == ["again.json", "slower.json"]
    assert list(same) == ["first", "second", "runs", "at", "compared", "paired", "differs", "doubts", "meanings"]
    assert list(same["compared"][0]) == ["figure", "unit", "first", "second", "difference"]
    assert list(same["compared"][0]["difference"]) == ["by", "share", "low", "high", "visible", "verdict"]
    assert {each["difference"]["verdict"] for each in same["compared"]} <= {"no evidence", "too few values"}
    (first,) = [each for each in slower["compared"] if each["figure"] == "time to first token p50"]
    assert first["difference"]["verdict"] == "worse"
    assert first["difference"]["low"] > 0.01
    assert first["difference"]["by"] == pytest.approx(first["second"]["value"] - first["first"]["value"])
    printed, written = capsys.readouterr().out, (tmp_path / "c.md").read_text()
    for text in (printed, written):
        assert "worse" in text
        assert "smallest difference that four of five such comparisons find" in " ".join(text.split())
        assert f"{first['second']['value'] * 1e3:.2f}" in text
    assert "--url: " in written
    assert main(["compare", *words]) == 0
    assert main(["compare", *map(str, files[:2]), "--fail-if", "worse"]) == 0


def test_json_reports_and_run_files_are_the_same_runs(runs: Path, tmp_path: Path) -> None:
    """But for their intervals: only run files say what each request was."""
    found = []
    for words in (("file.db#1", "file.db#3"), ("1.json", "3.json")):
        out = tmp_path / "c.json"
        assert main(["compare", *(str(runs / each) for each in words), "--anyway", "--json", str(out)]) == 0
        found.append(json.loads(out.read_text())[0])
    assert [each["paired"] for each in found] == [200, None]
    alike = [[(row["figure"], row["first"], row["second"]) for row in each["compared"]] for each in found]
    assert alike[0] == alike[1]


def test_what_differs_beside_the_figures_is_said(reports: list[dict[str, Any]]) -> None:
    first, second = reports[0], copy.deepcopy(reports[1])
    assert [name for name, *_ in compare(("a", "b"), [first], [second]).differs] == []
    second["run"]["arguments"] |= {"parallel": 8, "name": "other", "model": "n"}
    assert compare(("a", "b"), [first], [second]).differs == [("--model", "m", "n"), ("--parallel", "4", "8")]


def test_options_are_called_as_they_are_given(reports: list[dict[str, Any]]) -> None:
    first, second = reports[0], copy.deepcopy(reports[1])
    second["run"]["arguments"] |= {"trace_from": 10.0, "until_certain": True}
    found = [name for name, *_ in compare(("a", "b"), [first], [second]).differs]
    assert found == ["--from", "--until-certain"]


def test_a_run_that_measured_its_client_is_refused(
    runs: Path, reports: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late = {**reports[0], "client": {**reports[0]["client"], "saturated": True, "reasons": ["reads were late"]}}
    for name, report in (("late", late), ("good", reports[1])):
        (tmp_path / f"{name}.json").write_text(json.dumps(report))
    words = ["compare", str(tmp_path / "late.json"), str(tmp_path / "good.json")]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "limited by its client: reads were late" in said
    assert "--anyway" in said
    assert said.count("\n") == 1
    assert main([*words, "--anyway"]) == 0
    assert "limited by its client" in capsys.readouterr().out


def test_a_run_that_was_broken_off_is_refused(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(runs / "file.db", tmp_path / "broken.db")
    with closing(sqlite3.connect(tmp_path / "broken.db")) as db:
        db.execute("UPDATE run SET summary = NULL")
        db.commit()
    assert main(["compare", str(tmp_path / "broken.db#1"), str(tmp_path / "broken.db#3")]) == 2
    assert "was broken off" in capsys.readouterr().err
    assert main(["compare", str(tmp_path / "broken.db#1"), str(tmp_path / "broken.db#3"), "--anyway"]) == 0


Words = Callable[[Path], list[str]]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (lambda runs: [str(runs / "file.db#1")], "two runs or more"),
        (lambda runs: [str(runs / "file.db#9"), str(runs / "1.json")], "file.db#1 to "),
        (lambda runs: [str(runs / "nothing.db"), str(runs / "1.json")], "a run file"),
        (lambda runs: [__file__, str(runs / "1.json")], "a run file"),
        (lambda runs: [str(runs / "odd.json"), str(runs / "1.json")], "a report that --json wrote"),
        (lambda runs: [str(runs / "1.json"), str(runs / "2.json"), "--json", "nowhere/x"], "look at --json"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    runs: Path, words: Words, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / "odd.json").write_text('{"schema": 2}')
    assert main(["compare", *words(runs)]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_markup_in_a_name_is_text(reports: list[dict[str, Any]], tmp_path: Path) -> None:
    for name in ("a|b[red]", "c"):
        (tmp_path / f"{name}.json").write_text(json.dumps(reports[0]))
    out = tmp_path / "c.md"
    assert main(["compare", str(tmp_path / "a|b[red].json"), str(tmp_path / "c.json"), "--markdown", str(out)]) == 0
    header = next(line for line in out.read_text().splitlines() if line.startswith("|"))
    assert "a\\|b\\[red\\]" in header
    assert header.replace("\\|", "").count("|") == 8
