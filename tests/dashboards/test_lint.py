"""Grafana's dashboard-linter finds nothing, but for the rules that `.lint` excludes, each with its reason."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dashboards.boards import BOARDS, GRAFANA
from tests.real.accuracy import RealProgram

CONFIG = GRAFANA / ".lint"
EXCLUDED: dict[str, dict[str, Any]] = yaml.safe_load(CONFIG.read_text())["exclusions"]


def entries(rule: str) -> int:
    """How many exclusions of a rule there are: none by name is one of all boards."""
    return len(EXCLUDED[rule].get("entries", [None]))


def lint(program: Path, board: Path, config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(program), "lint", "--strict", "--config", str(config), str(board)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", BOARDS)
def test_board_is_clean(name: str, real_program: RealProgram) -> None:
    done = lint(real_program("dashboard-linter"), GRAFANA / f"{name}.json", CONFIG)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr


@pytest.mark.parametrize(("rule", "at"), [(rule, at) for rule in EXCLUDED for at in range(entries(rule))])
def test_exclusion_has_a_reason_and_is_needed(rule: str, at: int, real_program: RealProgram, tmp_path: Path) -> None:
    left = copy.deepcopy(EXCLUDED)
    if "entries" in left[rule]:
        entry = left[rule]["entries"].pop(at)
        said = [entry.get("reason"), left[rule].get("reason")]
    if not left[rule].get("entries"):
        said = [left.pop(rule)["reason"]]
    assert any(said)
    (tmp_path / "without").write_text(yaml.safe_dump({"exclusions": left}))
    program = real_program("dashboard-linter")
    codes = (lint(program, GRAFANA / f"{name}.json", tmp_path / "without").returncode for name in BOARDS)
    assert any(codes), "next step: take it out of dashboards/grafana/.lint"


def test_linter_sees_what_is_wrong(real_program: RealProgram, tmp_path: Path) -> None:
    target = {"refId": "A", "expr": "sum(rate(x_total[5m]", "datasource": {"type": "prometheus", "uid": "abc"}}
    panel = {"type": "timeseries", "title": "No unit, no description", "id": 1, "targets": [target]}
    board = {"title": "Wrong", "editable": False, "panels": [panel], "templating": {"list": []}}
    (tmp_path / "wrong.json").write_text(json.dumps(board))
    done = lint(real_program("dashboard-linter"), tmp_path / "wrong.json", CONFIG)
    assert done.returncode != 0
    assert "unit" in done.stdout
    assert "datasource" in done.stdout
