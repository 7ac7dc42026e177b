"""Each row of docs/compatibility.md has a test that carries its number."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROWS = re.findall(r"^\| (S4\.\d+) \|", (ROOT / "docs/compatibility.md").read_text("utf-8"), re.MULTILINE)


def spoken() -> Iterator[str]:
    """Yield what each test function says about itself, and each module that has some."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        module = ast.parse(path.read_text("utf-8"))
        tests = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef) and "test_" in node.name[:5]]
        if path != Path(__file__) and tests:
            yield from (ast.get_docstring(node) or "" for node in (module, *tests))


def carried(text: str) -> set[str]:
    """Return the numbers in it; `S4.30 to S4.33` carries those between."""
    found = {int(n) for n in re.findall(r"\bS4\.(\d+)\b", text)}
    for first, last in re.findall(r"\bS4\.(\d+) to S4\.(\d+)\b", text):
        found |= set(range(int(first), int(last) + 1))
    return {f"S4.{n}" for n in found}


def test_no_row_is_missing() -> None:
    assert [f"S4.{n}" for n in (*range(1, 25), *range(30, 45), *range(50, 54))] == ROWS


@pytest.fixture(scope="module")
def numbers() -> set[str]:
    return carried("\n".join(spoken()))


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_carried_by_a_test(row: str, numbers: set[str]) -> None:
    assert row in numbers
