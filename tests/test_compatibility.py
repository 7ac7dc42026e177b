"""docs/compatibility.md: each row has a test that carries its number, and each number in a test has its row."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINES = (ROOT / "docs/compatibility.md").read_text("utf-8").splitlines()
ROWS = [found[0] for line in LINES if (found := re.findall(r"^\| (S\d\.\d+) \|", line))]
NAMED = [found[0] for line in LINES if (found := re.findall(r"^\| (S\d\.\d+) \|.*\| `(test_\w+)` \|$", line))]

NUMBERS = {"S4": (*range(1, 25), *range(30, 45), *range(50, 54)), "S1": range(1, 12), "S2": range(1, 25)}


def spoken() -> Iterator[tuple[str, str]]:
    """Yield the name of each test function and module, and what it says about itself."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        module = ast.parse(path.read_text("utf-8"))
        tests = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef) and "test_" in node.name[:5]]
        if path != Path(__file__) and tests:
            yield path.stem, ast.get_docstring(module) or ""
            yield from ((node.name, ast.get_docstring(node) or "") for node in tests)


def carried(text: str) -> set[str]:
    """Return the numbers in it; `S4.30 to S4.33`, `S4.30-S4.33` and `S4.30-33` carry those between."""
    found = {(kind, int(n)) for kind, n in re.findall(r"\b(S\d)\.(\d+)\b", text)}
    for kind, first, last in re.findall(r"\b(S\d)\.(\d+)(?: to |-)(?:S\d\.)?(\d+)\b", text):
        found |= {(kind, n) for n in range(int(first), int(last) + 1)}
    return {f"{kind}.{n}" for kind, n in found}


def test_no_row_is_missing() -> None:
    assert [f"{kind}.{n}" for kind, numbers in NUMBERS.items() for n in numbers] == ROWS


@pytest.fixture(scope="module")
def numbers() -> dict[str, set[str]]:
    """The numbers that each test carries, by its name."""
    found: dict[str, set[str]] = {}
    for name, text in spoken():
        found.setdefault(name, set()).update(carried(text))
    return found


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_carried_by_a_test(row: str, numbers: dict[str, set[str]]) -> None:
    assert any(row in carries for carries in numbers.values())


@pytest.mark.parametrize(("row", "name"), NAMED)
def test_the_test_that_a_row_names_carries_it(row: str, name: str, numbers: dict[str, set[str]]) -> None:
    assert row in numbers[name]


def test_every_row_of_swarms_names_its_test() -> None:
    assert [row for row, _ in NAMED] == [row for row in ROWS if row.startswith(("S1.", "S2."))]


def test_every_number_that_a_test_carries_has_its_row(numbers: dict[str, set[str]]) -> None:
    assert set().union(*numbers.values()) <= set(ROWS)
