"""What the documents say is so: examples run, and every measure, option and plugin is described."""

import json
import re
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

from otel_llm.load.figures.slo import QUANTITIES
from otel_llm.load.plan.arguments import add_arguments
from otel_llm.measures import MEASURES
from otel_llm.wire.discovery import protocols

ROOT = Path(__file__).parent.parent


def run(source: Path | str, folder: Path | None = None) -> str:
    command = [sys.executable, str(source)] if isinstance(source, Path) else [sys.executable, "-c", source]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=240).stdout


EXAMPLES = [
    path
    for path in sorted((ROOT / "examples").glob("*.py"))
    if "import transformers" not in path.read_text()  # tests/models/test_examples.py runs it
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_runs_and_prints_the_three_numbers(example: Path) -> None:
    out = run(example)
    assert re.search(r"Time to First Token: .*\nGeneration Latency: .*\nThroughput: ", out)


@pytest.mark.parametrize("notebook", sorted((ROOT / "examples").glob("*.ipynb")), ids=lambda path: path.name)
def test_every_notebook_runs_from_its_first_cell_to_its_last_and_was_saved_without_output(
    notebook: Path, tmp_path: Path
) -> None:
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    NOTEBOOKS[notebook.name](run("\n".join("".join(cell["source"]) for cell in cells), tmp_path))


def says_the_first_minute(out: str) -> None:
    (first,) = re.findall(r"Time to First Token: (.*)\n", out)
    assert float(first) >= 0.2
    assert "15 gaps, the longest" in out
    assert out.endswith("['one', 'two', 'three'] 3\n")


def says_what_an_endpoint_holds(out: str) -> None:
    (first,) = re.findall(r"first token p50 (.*)\n", out)
    assert float(first) >= 0.02
    assert "answered 40\n" in out
    assert [line.split()[0] for line in out.splitlines() if line.endswith("in parallel: 32 requests")] == [
        "1.0",
        "4.0",
        "16.0",
    ]


NOTEBOOKS = {"first_minute.ipynb": says_the_first_minute, "measure_an_endpoint.ipynb": says_what_an_endpoint_holds}


def test_the_readme_example_runs_as_printed() -> None:
    (source,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert "the first token is the one that users wait for" in run(source)


def test_the_readme_names_the_two_commands_and_pages_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    assert "make demo" in text
    assert "make test" in text
    for page in re.findall(r"\]\((docs/[^)#]+)\)", text):
        assert (ROOT / page).is_file(), page


def test_every_file_that_the_page_on_testing_names_is_there() -> None:
    named = re.findall(r"`([\w/]+/\w+\.py)`", (ROOT / "docs" / "testing.md").read_text())
    assert len(named) > 20
    assert [path for path in named if not any((base / path).is_file() for base in (ROOT, ROOT / "tests"))] == []


def test_every_measure_is_in_the_glossary() -> None:
    text = (ROOT / "docs" / "measures.md").read_text()
    for measure in MEASURES:
        assert f"`{measure.name}`" in text


def test_every_term_of_an_slo_is_on_the_page_of_measures() -> None:
    text = (ROOT / "docs" / "measures.md").read_text()
    rows = [f"| `{name}` | {quantity.about} |" for name, quantity in QUANTITIES.items()]
    assert "\n".join(rows) in text


def test_every_protocol_is_on_its_page() -> None:
    text = (ROOT / "docs" / "protocols.md").read_text()
    for name in protocols():
        assert name in text


def test_every_option_has_help() -> None:
    parser = ArgumentParser()
    add_arguments(parser)
    for action in parser._actions:
        assert action.help, action.option_strings


def test_every_module_says_first_what_it_is() -> None:
    for path in [*(ROOT / "otel_llm").rglob("*.py"), *(ROOT / "plugins").glob("*.py")]:
        text = path.read_text()
        assert not text or text.startswith('"""'), path
