"""Model servers that are compiled into an environment of their own."""

from pathlib import Path

import pytest

from tools.compiled import Ollama
from tools.engines import ENGINES
from tools.environments import Environment, Run
from tools.errors import ToolsError
from tools.parts import MODULES


class Program:
    """Stands in for a program: its source is a text, and compiling it is copying."""

    version = "1.2.3"

    def __init__(self, source: str, *, fails: bool = False) -> None:
        self._source, self._fails = source, fails

    def decides(self) -> bytes:
        return self._source.encode()

    def build(self, folder: Path, run: Run) -> None:
        for left in ("source", "work"):
            (folder / left).mkdir()
        (folder / "bin" / "program").write_text(self._source)
        if self._fails:
            run(["false"])


@pytest.fixture
def no_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tools.environments.REQUIREMENTS", tmp_path)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "tool.lock").write_text("# none\n")


@pytest.mark.usefixtures("no_packages")
def test_the_program_is_in_the_environment_and_what_made_it_is_not() -> None:
    environment = Environment("tools", "tool", program=Program("one"))
    assert environment.make() is not None
    assert environment.installed
    assert environment.folder.name.startswith("tool-1.2.3-")
    assert (environment.folder / "bin" / "program").read_text() == "one"
    assert not [left for left in ("source", "work") if (environment.folder / left).exists()]
    assert environment.make() is None, "expected it to be made once"
    assert Environment("tools", "tool", program=Program("another")).folder != environment.folder


@pytest.mark.usefixtures("no_packages")
def test_a_program_that_does_not_compile_leaves_no_environment() -> None:
    environment = Environment("tools", "tool", program=Program("one", fails=True))
    with pytest.raises(ToolsError, match=r"expected `.*` to succeed .* next step: see what pip or the compiler says"):
        environment.make()
    assert not environment.installed


def test_ollama_is_of_the_version_that_its_modules_pin() -> None:
    assert ENGINES["ollama"].version == Ollama().version
    assert f"require github.com/ollama/ollama v{Ollama().version}\n" in (MODULES / "ollama" / "go.mod").read_text()
