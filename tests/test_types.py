"""The public surface, as type checkers see it. mypy reads the same file in `make lint`."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.errors import ToolsError
from tools.npm_packages import PYRIGHT

API = Path(__file__).parent / "typing" / "api.py"


def test_pyright_understands_every_public_call(tmp_path: Path) -> None:
    try:
        installed = PYRIGHT.find()
    except ToolsError as error:
        pytest.skip(str(error))
    shutil.copy(API, tmp_path)
    asked = {"extraPaths": [str(API.parents[2])], "reportUnnecessaryTypeIgnoreComment": "error"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(asked))
    checker = installed.modules / "pyright" / "index.js"
    command = [installed.node, checker, "--pythonpath", sys.executable, "--project", tmp_path, "--outputjson"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    said = json.loads(ran.stdout)
    assert said["summary"]["filesAnalyzed"] == 1
    assert [found["message"] for found in said["generalDiagnostics"]] == []
