"""The wheel, in an environment that has nothing else, does the main job."""

import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_packages_their_types_and_the_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in ("otel_llm/py.typed", "otel_llm/load/worker/worker.py", "otel_llm_plugins/openai_chat.py"):
        assert wanted in names
    page = {f"otel_llm/view/page/{file.name}" for file in (ROOT / "otel_llm" / "view" / "page").iterdir()}
    assert page <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("licenses/NOTICE") for name in names)
    assert not any(name.startswith(("tests/", "benchmarks/", "tools/")) for name in names)


def locked_to_run() -> Iterator[Distribution]:
    """Yield each distribution of run.lock, which is installed here in that version."""
    for line in (ROOT / "requirements" / "run.lock").read_text("utf-8").splitlines():
        if "==" not in line:
            continue
        wanted = Requirement(line.rstrip(" \\"))
        if wanted.marker is None or wanted.marker.evaluate():
            found = distribution(wanted.name)
            assert wanted.specifier.contains(found.version), f"{wanted} is locked, {found.version} is installed"
            yield found


@pytest.fixture
def only_what_is_locked(tmp_path: Path) -> Path:
    """Return the Python of an environment that has what run.lock names, linked from here, and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True, timeout=120)
    (site,) = tmp_path.glob("venv/lib/python3*/site-packages")
    for one in locked_to_run():
        for file in one.files or ():
            if ".." not in file.parts:  # bin/ and the like
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                (site / file).symlink_to(str(file.locate()))
    return tmp_path / "venv" / "bin" / "python"


def test_a_clean_environment_with_the_wheel_runs_the_demo(
    wheel: Path, only_what_is_locked: Path, tmp_path: Path
) -> None:
    python = only_what_is_locked
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-q", "--no-index", str(wheel)], check=True, timeout=120)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
    demo = subprocess.run(
        [str(python.with_name("otel-llm")), "demo", "-n", "32", "--parallel", "8"],
        cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "they agree" in demo.stdout
    assert demo.stdout.count("p50") >= 2
    assert len(list(tmp_path.glob("demo-model_benchmark_*.db"))) == 1


def test_the_version_to_cite_is_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


def test_the_front_page_names_every_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    page = (ROOT / "docs/index.md").read_text("utf-8")
    assert [name for name in extras if name != "all" and f"`otel-llm[{name}]`" not in page] == []


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; before = time.process_time(); import otel_llm; "
        "otel_llm.metrics, otel_llm.instrument, otel_llm.observe; took = time.process_time() - before; "
        "heavy = 'aiohttp grpc transformers torch opentelemetry.sdk opentelemetry.exporter numpy'.split(); "
        "print([m for m in heavy if m in sys.modules], took)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert out.startswith("[] ")
    # 0.07 s of CPU where this was written; the bound is wide because machines are
    assert float(out.split()[-1]) < 0.5


def test_the_package_is_run_like_its_command() -> None:
    command = [sys.executable, "-m", "otel_llm", "--version"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert said.startswith("otel-llm ")
    refused = subprocess.run([*command[:-1], "nothing"], capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 2
    assert "expected one of perf, " in refused.stderr
