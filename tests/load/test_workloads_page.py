"""The commands of docs/workloads.md run as they stand, against the simulator."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from otel_llm.cli import main
from otel_llm.sim import Behaviour, SimServer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "workloads.md").read_text("utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("otel-llm perf")])
def test_a_command_of_the_page_runs(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("tests", "examples"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    with SimServer(Behaviour()) as sim:
        code = main([*shlex.split(command)[1:], "--url", sim.url])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert "lengths  " in said.out


def test_the_classes_of_the_page_are_those_of_the_example() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert tomllib.loads(block) == tomllib.loads((ROOT / "examples" / "classes.toml").read_text("utf-8"))
