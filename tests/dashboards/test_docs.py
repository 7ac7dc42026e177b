"""What the page about the boards names is there, and every board is on it."""

import re
from pathlib import Path

import pytest

from otel_llm.cli import main
from otel_llm_collector import cli as collector_cli
from tests.dashboards.test_layout import BOARDS, FOLDER, panels

DOCS, COLLECTOR = FOLDER.parent.parent / "docs", FOLDER.parent.parent / "collector"
PAGE = (DOCS / "dashboards.md").read_text()
TABLE = re.findall(r"^\| .+ \| (LLM [\w ]+) \| (.+) \|$", PAGE, re.MULTILINE)


def test_every_board_answers_questions() -> None:
    assert {title for title, _ in TABLE} == {board["title"] for board in BOARDS.values()}


def test_every_place_that_is_named_is_on_its_board() -> None:
    boards = {board["title"]: board for board in BOARDS.values()}
    for title, where in TABLE:
        there = [panel["title"] for panel in boards[title]["panels"] if panel["type"] == "row"]
        there += [panel["title"] for panel in panels(boards[title])]
        for name in re.findall(r"`([^`]+)`", where):
            start, _, end = name.partition("…")
            assert any(known.startswith(start) or known.endswith(name) for known in there), (title, name)
            assert any(known.endswith(end.strip()) for known in there), (title, name)


@pytest.mark.parametrize("page", sorted((COLLECTOR / "runbooks").glob("*.md")), ids=lambda file: file.stem)
def test_every_runbook_opens_with_a_row_of_a_board(page: Path) -> None:
    ((title, row),) = re.findall(r"^Board (LLM [\w ]+), row `([^`]+)`", page.read_text(), re.MULTILINE)
    (board,) = (board for board in BOARDS.values() if board["title"] == title)
    assert row in {panel["title"] for panel in board["panels"] if panel["type"] == "row"}


def test_every_choice_that_is_named_is_one() -> None:
    labels = {variable["label"] for board in BOARDS.values() for variable in board["templating"]["list"]}
    assert {"Measured at", "Percentile", "Run A", "Run B"} <= labels
    assert any(label.startswith("Edges") for label in labels)


def test_the_files_that_are_named_are_written(tmp_path: Path) -> None:
    assert main(["collector", "--out", str(tmp_path)]) == 0
    for name in re.findall(r"kit/(compose/[\w/.]+)|`(compose/[\w/.]+)`", PAGE):
        assert (tmp_path / "".join(name)).exists(), name
    assert f"kit/{collector_cli.BOARDS}" in PAGE


def test_it_says_that_nothing_was_rendered() -> None:
    assert "they were not seen rendered" in PAGE
    assert f"schema version {BOARDS['overview']['schemaVersion']}" in PAGE
