"""An entry point that was added and not installed is named before the tests that would miss it."""

from pathlib import Path

from tests.stale_installation import differences

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def test_what_is_declared_is_installed() -> None:
    assert differences() == []


def test_an_entry_point_that_is_not_installed_or_changed_its_place_is_named(tmp_path: Path) -> None:
    text = PYPROJECT.read_text("utf-8")
    newer = tmp_path / "pyproject.toml"
    group = '[project.entry-points."otel_llm.adapters"]\n'
    moved = text.replace("libraries.groq:targets", "libraries.moved:targets")
    newer.write_text(moved.replace(group, f'{group}tiny = "otel_llm.instrumentation.libraries.tiny:targets"\n'))
    assert differences(newer) == ["groq of otel_llm.adapters", "tiny of otel_llm.adapters"]
