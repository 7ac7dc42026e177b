"""What Ray, Dask and Spark send to other processes: functions of `__main__` and of notebooks, taken by value."""

import subprocess
import sys
from pathlib import Path

import pytest

KINDS = {
    "a function": ("@otel_llm.metrics(model='m')\ndef f(x):\n    return [x]", "f('a')", "f.last_metrics.model"),
    "a generator": ("@otel_llm.metrics(model='m')\ndef f(x):\n    yield x", "list(f('a'))", "f.last_metrics.model"),
    "a local function": (
        "def make(y):\n  @otel_llm.metrics(model='m')\n  def g(x):\n    return y\n  return g\nf = make(['a'])",
        "f('x')",
        "f.last_metrics.model",
    ),
    "a class": (
        "class f:\n    @otel_llm.metrics(model='m')\n    def run(self, x):\n        return [x]",
        "f().run('a')",
        "f.run.last_metrics.model",
    ),
    "an object": (
        "class A:\n    @otel_llm.metrics(model='m')\n    def run(self, x):\n        return [x]\nf = A()",
        "f.run('a')",
        "f.run.last_metrics.model",
    ),
    "a method of an object": (
        "class A:\n    @otel_llm.metrics(model='m')\n    def run(self, x):\n        return [x]\nf = A().run",
        "f('a')",
        "f.last_metrics.model",
    ),
    "a model": (
        "class A(otel_llm.BaseLLM):\n    def run(self, task=None):\n        return [task]\nf = A('m')",
        "f.run('a')",
        "f.metrics().model",
    ),
    "an instrumented class": (
        "class f:\n    def run(self, x):\n        return [x]\notel_llm.instrument(f, 'run', model='m')",
        "f().run('a')",
        "otel_llm.last_metrics().model",
    ),
}


def run(program: str, path: Path) -> str:
    words = [sys.executable, "-c", program, str(path)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("kind", KINDS)
def test_another_process_gets_it_measured(kind: str, tmp_path: Path) -> None:
    code, call, model = KINDS[kind]
    there = tmp_path / "pickled"
    pickled = f"import cloudpickle, otel_llm, pathlib, sys\n{code}\n"
    run(f"{pickled}pathlib.Path(sys.argv[1]).write_bytes(cloudpickle.dumps(f))", there)
    taken = "import pathlib, pickle, sys\nf = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\nimport otel_llm\n"
    assert run(f"{taken}print({call}, {model})", there) == "['a'] m\n"


def test_what_can_be_imported_is_taken_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text("import otel_llm\n@otel_llm.metrics\ndef f():\n    return ['a']\n")
    program = """
import sys
sys.path.insert(0, sys.argv[1])
import cloudpickle, theirs
print(cloudpickle.loads(cloudpickle.dumps(theirs.f)) is theirs.f, len(cloudpickle.dumps(theirs.f)) < 50)
"""
    assert run(program, tmp_path) == "True True\n"
