"""`otel-llm dashboards`: the committed boards, as they are, in a mixin, for the operator; out of the wheel too."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import _jsonnet
import pytest

from otel_llm.cli import main
from tests import yaml_files
from tests.dashboards.test_layout import BOARDS, FOLDER

ROOT = FOLDER.parent.parent
RULES = ROOT / "collector" / "rules"
KUBECTL_KEEPS = 256 * 1024
COMMITTED = {file.name: file.read_text() for file in FOLDER.glob("*.json")}


def files(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_boards_are_those_committed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboards", "--out", str(tmp_path / "new" / "boards")]) == 0
    assert files(tmp_path / "new" / "boards") == COMMITTED
    assert capsys.readouterr().out.startswith(f"{len(BOARDS)} files in ")


def evaluated(folder: Path, text: str) -> Any:
    """What jsonnet makes of a text that imports from a folder."""
    made = _jsonnet.evaluate_snippet("mine", text, import_callback=lambda _, name: (name, (folder / name).read_bytes()))
    return json.loads(made)


def test_a_mixin_has_all_boards_rules_and_alerts(tmp_path: Path) -> None:
    assert main(["dashboards", "--format", "mixin", "--out", str(tmp_path)]) == 0
    made = evaluated(
        tmp_path,
        "local it = import 'mixin.libsonnet'; "
        "{ boards: it.grafanaDashboards, rules: it.prometheusRules, alerts: it.prometheusAlerts }",
    )
    assert made["boards"] == {f"otel-llm-{name}.json": board for name, board in BOARDS.items()}
    rules = {file.name: yaml_files.read(file)["groups"] for file in sorted(RULES.glob("*.yaml"))}
    assert made["alerts"]["groups"] == rules.pop("alerts.yaml")
    assert made["rules"]["groups"] == [group for groups in rules.values() for group in groups]


def test_a_mixin_can_be_extended_and_renamed(tmp_path: Path) -> None:
    assert main(["dashboards", "--format", "mixin", "--out", str(tmp_path)]) == 0
    made = evaluated(
        tmp_path,
        "local own = { _config+:: { dashboardPrefix: 'my-' }, grafanaDashboards+:: { 'x.json': {} } }; "
        "std.objectFields(((import 'mixin.libsonnet') + own).grafanaDashboards)",
    )
    assert set(made) == {"x.json", *(f"my-{name}.json" for name in BOARDS)}


def test_a_mixin_has_alerts_of_the_importers_words(tmp_path: Path) -> None:
    assert main(["dashboards", "--format", "mixin", "--out", str(tmp_path)]) == 0
    mine = "_config+:: { runbookURL: 'https://wiki.example/', severities: { page: 'critical', ticket: 'warning' } }"
    (group,) = evaluated(tmp_path, f"((import 'mixin.libsonnet') + {{ {mine} }}).prometheusAlerts")["groups"]
    for alert in group["rules"]:
        assert alert["annotations"]["runbook_url"] == f"https://wiki.example/{alert['alert']}.md"
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert (tmp_path / "runbooks" / f"{alert['alert']}.md").is_file()


def test_the_operator_gets_a_resource_for_each_board(tmp_path: Path) -> None:
    assert main(["dashboards", "--format", "operator", "--out", str(tmp_path)]) == 0
    written = files(tmp_path)
    assert set(written) == {f"{name}.yaml" for name in BOARDS}
    for name, text in written.items():
        (found,) = yaml_files.parse_all(text)
        board = name.removesuffix(".yaml")
        assert (found["apiVersion"], found["kind"]) == ("grafana.integreatly.org/v1beta1", "GrafanaDashboard")
        assert found["metadata"]["name"] == f"otel-llm-{board}"
        assert json.loads(found["spec"]["json"]) == BOARDS[board]
        assert "uid" not in found["spec"]
        assert len(json.dumps(found)) < KUBECTL_KEEPS, "kubectl apply keeps a copy in an annotation"


def test_all_is_a_folder_of_each(tmp_path: Path) -> None:
    assert main(["dashboards", "--format", "all", "--out", str(tmp_path)]) == 0
    assert {file.name for file in tmp_path.iterdir()} == {"json", "mixin", "operator"}
    assert files(tmp_path / "json") == COMMITTED


def test_bad_usage_is_one_line_and_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    for words, said in (
        ([], "expected --out DIR"),
        (["--out", str(in_the_way)], "expected --out to be a folder that can be written to, got"),
        (["--out", str(in_the_way / "below")], "expected --out to be a folder that can be written to, got"),
    ):
        assert main(["dashboards", *words]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    with pytest.raises(SystemExit) as ended:
        main(["dashboards", "--format", "yaml", "--out", str(tmp_path)])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_wheel_writes_them_without_what_made_them(tmp_path: Path) -> None:
    for name in ("otel_llm", "plugins", "collector", "dashboards"):
        shutil.copytree(ROOT / name, tmp_path / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, tmp_path / "source")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    built = subprocess.run(command, cwd=tmp_path / "source", capture_output=True, text=True, timeout=100)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    code = (
        "import sys; sys.modules['grafana_foundation_sdk'] = None\n"
        "import otel_llm_dashboards; print(otel_llm_dashboards.__file__)\n"
        "from otel_llm.cli import main; sys.exit(main(['dashboards', '--format', 'all', '--out', sys.argv[1]]))"
    )
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "out")],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(str(tmp_path / "installed"))
    assert files(tmp_path / "out" / "json") == COMMITTED
