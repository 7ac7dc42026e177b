"""The fixture `otel_llm_load`, in a pytest of its own, found by its entry point."""

import subprocess
import sys
from pathlib import Path

from tests.truthserver.process import TruthServer

TESTS = """
import asyncio

OPTIONS = dict(url={url!r}, model="m", prompt="hi", number=4, parallel=2)

def test_that_passes(otel_llm_load, tmp_path):
    first = otel_llm_load.run(**OPTIONS)
    again = asyncio.run(otel_llm_load.run_async(**OPTIONS))
    assert first.ok and again.ok
    assert sorted(path.name for path in tmp_path.glob("*.db")) == ["load1.db", "load2.db"]

def test_that_fails(otel_llm_load):
    study = otel_llm_load.sweep(**(OPTIONS | dict(parallel=[1, 2], fail_if=["p99_ttft>1us"])))
    assert study.ok
"""
LIGHT = """
import sys

def test_nothing_is_loaded_before_it_is_asked_for():
    assert "otel_llm.pytest_plugin" in sys.modules
    assert not [name for name in sys.modules if name.startswith(("otel_llm.load.", "otel_llm.measures"))]
"""


def test_a_test_has_load_by_a_fixture_and_shows_what_was_measured_when_it_fails(
    truth: TruthServer, tmp_path: Path
) -> None:
    url = f"{truth.url}/x/itl_ms=1;tokens=4/v1/chat/completions"
    (tmp_path / "test_light.py").write_text(LIGHT)
    (tmp_path / "test_load.py").write_text(TESTS.format(url=url))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir=."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200)
    assert "1 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    assert "otel-llm sweep" in done.stdout
    assert "study file" in done.stdout
    assert truth.stats()["requests"] == 16
