"""`otel-llm compare A B --html FILE`: the page of a comparison, in a real browser."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from otel_llm.cli import main
from tests.browser import Page
from tests.load.conftest import Perf
from tests.load.test_compare import sure, trusted
from tests.load.test_foreign import HERE
from tests.load.test_page import DRAWINGS, MARKUP, axe, browse, printed, reached
from tests.load.test_perf import chat
from tests.truthserver.process import TruthServer

__all__ = ["axe"]

IN_A_NAME = "<img src=x onerror='window.ran=1'>"
OF_ANOTHER_TOOL = "<img src=x onerror='window.ran=2'>"


@pytest.fixture(scope="module")
def pages(_truth_process: TruthServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `c.html`: a run, the same with every time twice as long, and a result of another tool."""
    folder = tmp_path_factory.mktemp("comparison")
    run = Perf(folder).start(*chat(_truth_process, "itl_ms=1;tokens=6"), "-n", "60").wait(200)
    assert run.code == 0, run.err
    first = sure(trusted(run.report))
    second = slower(first)
    second["run"]["arguments"]["model"] = MARKUP
    second["client"]["reasons"] = [MARKUP]
    second["run"]["name"] = second["run"]["versions"]["python"] = MARKUP
    for name, report in (("first", first), ("second", second), (IN_A_NAME, second)):
        (folder / f"{name}.json").write_text(json.dumps(report))
    words = [str(folder / "first.json"), str(folder / "second.json"), str(HERE / "vllm.json")]
    assert main(["compare", *words, "--html", str(folder / "c.html")]) == 0
    return folder


def slower(report: dict[str, Any]) -> dict[str, Any]:
    found = copy.deepcopy(report)
    for row in found["measures"].values():
        for name in ("p50", "p90", "p99"):
            row[name] = row[name] and row[name] * 2
    return sure(found)


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_page_is_whole_asks_for_nothing_and_can_be_used_by_everyone(
    pages: Path, width: int, dark: bool, axe: str
) -> None:
    async def use(page: Page) -> None:
        assert page.asked == [(pages / "c.html").as_uri()]
        assert await page.run("document.documentElement.scrollWidth <= innerWidth")
        assert await page.run(f"document.querySelectorAll('.draw').length === 2 && {DRAWINGS}.length === 2")
        await page.run(f"{axe}; 0")
        violations = await page.run("axe.run().then((said) => said.violations.map((each) => each.id))")
        assert (violations, page.trouble) == ([], [])

    browse(use, pages / "c.html", width=width, dark=dark)


def test_it_can_be_printed_and_is_reached_by_keyboard(pages: Path) -> None:
    browse(printed, pages / "c.html", dark=True)
    browse(reached, pages / "c.html", width=390)


def test_markup_in_reports_and_in_names_of_files_is_text(pages: Path) -> None:
    file = pages / "hostile.html"
    foreign = json.loads((HERE / "vllm.json").read_text()) | {"model_id": OF_ANOTHER_TOOL, "date": OF_ANOTHER_TOOL}
    (pages / "foreign.json").write_text(json.dumps(foreign))
    words = [str(pages / name) for name in ("first.json", f"{IN_A_NAME}.json", "foreign.json")]
    assert main(["compare", *words, "--html", str(file)]) == 0

    async def use(page: Page) -> None:
        await page.run("new Promise((done) => setTimeout(done, 300))")
        assert await page.run("window.ran") is None
        assert await page.run("document.querySelectorAll('main img').length") == 0
        said = await page.run("document.body.textContent")
        assert MARKUP in said
        assert IN_A_NAME in said
        assert OF_ANOTHER_TOOL in said
        assert page.asked == [file.as_uri()]
        assert page.trouble == []

    browse(use, file)


def test_it_says_what_the_markdown_says(pages: Path) -> None:
    words = [str(pages / "first.json"), str(pages / "second.json")]
    assert main(["compare", *words, "--markdown", str(pages / "c.md")]) == 0
    text = (pages / "c.html").read_text()
    (row,) = [
        line for line in (pages / "c.md").read_text().splitlines() if line.startswith("| time to first token p50")
    ]
    label, *cells = [cell.strip().replace("\\", "") for cell in row.strip("| ").split(" | ")]
    assert f'<tr><th scope="row">{label}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>' in text
    assert cells[-1] == "worse"
    assert "second.json against first.json: " in text
    assert "vllm.json against first.json: no evidence of a difference" in text
    assert "beside our time to first token: to the first event with `choices`" in text
    assert MARKUP not in text
