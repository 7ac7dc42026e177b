"""`otel-llm report STUDY --html FILE`: the page of a sweep and of a search, in a real browser."""

import re
import shlex
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from otel_llm.cli import main
from otel_llm.load.report.study_charts import charts_of_study
from otel_llm.load.report.study_page import page_of_study
from otel_llm.load.study.result import result_in
from tests.browser import Page
from tests.load.conftest import Perf
from tests.load.study_of_points import Told, study_of
from tests.load.test_page import DRAWINGS, MARKUP, axe, browse, printed, reached
from tests.load.test_perf import chat
from tests.truthserver.process import TruthServer

__all__ = ["axe"]

SWEEP = (Told(2), Told(4, 1.2), Told(8, 2, saturated=True), Told(16, 9, overloaded=True))
FOUND = (Told(4, certainty="holds"), Told(8, 3, overloaded=True), Told(6, 1.1, certainty="holds"), Told(7, 1.4))


@pytest.fixture(scope="module")
def run(_truth_process: TruthServer, tmp_path_factory: pytest.TempPathFactory) -> Perf:
    made = Perf(tmp_path_factory.mktemp("study")).start(*chat(_truth_process, "itl_ms=1;tokens=6"), "-n", "60")
    assert made.wait(200).code == 0, made.err
    return made


@pytest.fixture(scope="module")
def sweep(run: Perf) -> Path:
    return study_of(run.run_file, run.folder / "sweep.db", SWEEP)


@pytest.fixture(scope="module")
def found(run: Perf) -> Path:
    return study_of(run.run_file, run.folder / "find.db", FOUND, kind="find")


def written(study: Path) -> Path:
    page = study.with_suffix(".html")
    assert main(["report", str(study), "--html", str(page)]) == 0
    return page


@pytest.mark.parametrize(("which", "width", "dark"), [("sweep", 1280, False), ("found", 390, True)])
def test_the_page_is_whole_asks_for_nothing_and_can_be_used_by_everyone(
    which: str, width: int, dark: bool, axe: str, request: pytest.FixtureRequest
) -> None:
    file = written(request.getfixturevalue(which))

    async def use(page: Page) -> None:
        assert page.asked == [file.as_uri()]
        assert await page.run("document.documentElement.scrollWidth <= innerWidth")
        assert await page.run(f"document.querySelectorAll('.draw').length === 5 && {DRAWINGS}.length === 5")
        await page.run(f"{axe}; 0")
        violations = await page.run("axe.run().then((said) => said.violations.map((each) => each.id))")
        assert (violations, page.trouble) == ([], [])

    browse(use, file, width=width, dark=dark)


def test_it_can_be_printed_and_is_reached_by_keyboard(sweep: Path) -> None:
    browse(printed, written(sweep), dark=True)
    browse(reached, written(sweep), width=390)


def cells(study: Path) -> list[list[str]]:
    """The rows of the table of points on the page."""
    text = written(study).read_text()
    table = text[text.index('aria-label="Point by point"') :]
    body = table[table.index("<tbody>") : table.index("</tbody>")]
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in body.split("</tr>") if "<td>" in row]


def test_a_sweep_shows_what_the_terminal_does(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(sweep)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("all well up to 4/s; overload from 16/s\n")
    rows = cells(sweep)
    assert [row[-1] for row in rows] == ["ok", "ok", "void", "overload"]
    for row in rows:
        (line,) = [line for line in printed.splitlines() if line.split()[:1] == [row[0]]]
        assert line.split() == " ".join([*row[:-2], row[-1]]).split()
    assert rows[-1][-2] == "+7.5 (+7 – +8)"
    text = written(sweep).read_text()
    assert '<p class="answer">All well up to 4/s; overload from 16/s. At 4/s half of the requests had their' in text
    assert "The client was the limit at 1 of 4 points" in text
    (command,) = re.findall(r"<pre>(.*)</pre>", text)
    assert shlex.split(command)[:7] == ["otel-llm", "sweep", "--rate", "2", "4", "8", "16"]


def test_a_search_shows_its_bracket(found: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = written(found).read_text()
    capsys.readouterr()
    assert main(["report", str(found)]) == 0
    answer = "holds at 6/s, breaks at 8/s  (95% sure)"
    assert capsys.readouterr().out.startswith(answer)
    assert '<p class="answer">Holds at 6/s, breaks at 8/s  (95% sure). At 6/s half of the requests had' in text
    assert [(row[0], row[-1]) for row in cells(found)] == [
        ("4", "holds"), ("6", "holds"), ("7", "unsure"), ("8", "breaks"),
    ]  # fmt: skip
    (command,) = re.findall(r"<pre>(.*)</pre>", text)
    assert shlex.split(command)[:6] == ["otel-llm", "find", "--start", "4", "--precision", "0.05"]


def test_a_percentile_that_no_point_has_is_not_in_the_key_of_a_chart(sweep: Path) -> None:
    study = result_in(sweep)
    assert study is not None

    def keys() -> list[list[str]]:
        return [[key.means for key in chart.keys] for chart in charts_of_study(study) if chart.group == "curve"]

    assert keys() == [["p50", "p99"]] * 3
    for row in study.rows:
        row["request_latency"]["p99"] = None
    assert keys() == [["p50", "p99"], ["p50", "p99"], ["p50"]]


def test_verdicts_are_a_suite_of_junit(run: Perf, found: Path) -> None:
    study = result_in(found)
    assert study is not None
    for row in study.rows:
        row["gates"] = [{"fail_if": "p99_ttft>1ms", "shown": "2 ms", "failed": row["load"] > 6}]  # type: ignore[index]
    study.write_junit(run.folder / "junit.xml")
    suite = Xml.parse(run.folder / "junit.xml").getroot()[0]  # noqa: S314  # ours
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("otel-llm find", "5", "2")
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["8/s: fail if p99_ttft>1ms", "7/s: fail if p99_ttft>1ms"]
    assert suite[-1].get("name") == "a load holds"


def test_a_run_of_a_study_has_its_own_report(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(sweep), "--requests"]) == 2
    assert "is a study of 4 points: say which run of it" in capsys.readouterr().err
    assert main(["report", str(sweep), "--run", "1"]) == 0
    assert capsys.readouterr().out.startswith("run 1 of 4")


def test_markup_in_a_name_is_text(run: Perf) -> None:
    study = result_in(study_of(run.run_file, run.folder / "hostile.db", SWEEP[:1]))
    assert study is not None
    assert study.run is not None
    study.run["run"]["arguments"]["model"] = MARKUP  # type: ignore[index]
    study.run["run"]["arguments"]["url"] = MARKUP  # type: ignore[index]
    study.run["run"]["name"] = study.run["run"]["versions"]["python"] = MARKUP  # type: ignore[index]
    text = page_of_study(study)
    assert MARKUP not in text
    assert "&lt;img src=x onerror=" in text
    file = run.folder / "hostile.html"
    file.write_text(text)

    async def use(page: Page) -> None:
        await page.run("new Promise((done) => setTimeout(done, 300))")
        assert await page.run("window.ran") is None
        assert await page.run("document.querySelectorAll('main img').length") == 0
        assert page.asked == [file.as_uri()]
        assert page.trouble == []

    browse(use, file)
