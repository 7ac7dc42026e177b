"""The table of the fault matrix, and a few of its cells run for real."""

from pathlib import Path

import pytest

from benchmarks.faults.cells import CELLS, LOOPS, MOMENTS, Cell
from benchmarks.faults.running import Outcome, run_cell
from benchmarks.faults.table import table, written

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
CHEAP = [
    Cell("SIGTERM", "middle", "two workers", 130),
    Cell("server gone", "connecting", "open", 1),
    Cell("disk full", "middle", "closed", 1, "fewer"),
]


def test_there_are_many_cells_and_no_two_are_the_same() -> None:
    names = {str(cell) for cell in CELLS}
    assert len(names) == len(CELLS) >= 60
    assert {cell.moment for cell in CELLS} == set(MOMENTS)
    assert {cell.loop for cell in CELLS} == set(LOOPS)


@pytest.mark.parametrize("cell", CHEAP, ids=str)
def test_a_cell_is_as_expected(cell: Cell) -> None:
    assert cell in CELLS
    outcome = run_cell(cell)
    assert outcome.wrong == (), outcome


def test_the_page_has_a_row_for_each_cell() -> None:
    rows = PAGE.read_text().splitlines()
    for cell in CELLS:
        start = f"| {cell.fault} | {cell.moment} | {cell.loop} | {cell.code} | yes | "
        assert sum(row.startswith(start) for row in rows) == 1, cell


def test_the_page_says_what_the_moments_are() -> None:
    text = PAGE.read_text()
    for moment, about in MOMENTS.items():
        assert f"| {moment} | {about} |" in text


def test_a_cell_that_differs_is_marked_and_the_rest_of_the_page_stays() -> None:
    odd = Outcome(CHEAP[0], 0, True, 12, 12, 11, 0.26, ("exit code 130 expected", "rows"))
    text = table([odd])
    row = "| SIGTERM | middle | two workers | 0 | yes | 12 | 12 | 11 | 0.3 | **no**: exit code 130 expected, rows |"
    assert text.splitlines()[2:] == [row]
    page = PAGE.read_text()
    once = written(page, text)
    assert written(once, text) == once
    assert once.startswith(page.split("<!--")[0])
    assert once.endswith(page.split("-->")[-1])
