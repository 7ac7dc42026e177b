"""A dry run of the release: the commands of its workflow, from a tag to the files and the notes."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parent.parent
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
JOBS = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8"))["jobs"]
OF_TAGS = [
    step["run"] for step in JOBS["build"]["steps"] if "run" in step and step.get("if") == "github.ref_type == 'tag'"
]


def released(folder: Path, tag: str, changelog: str) -> int:
    """Run what a tag adds to the gate, in a folder with the files that it built; return the exit code."""
    (folder / "dist").mkdir(exist_ok=True)
    (folder / "dist" / f"otel_llm-{VERSION}.tar.gz").touch()
    (folder / "CHANGELOG.md").write_text(changelog, "utf-8")
    return run_steps(OF_TAGS, folder, tag)


def run_steps(steps: Sequence[str], folder: Path, tag: str) -> int:
    bash = shutil.which("bash")
    assert bash is not None
    environment = {**os.environ, "GITHUB_REF_NAME": tag}
    script = "set -eo pipefail\n" + "\n".join(steps)
    return subprocess.run([bash, "-c", script], cwd=folder, env=environment, check=False).returncode


@pytest.fixture
def changelog() -> str:
    """What the changelog is once the next version has its date, with a version before it."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    return (
        text.replace(f"## {VERSION}, unreleased", f"## {VERSION}, 2026-12-01") + "\n## 0.0.9, 2026-01-01\n\n- before\n"
    )


def test_a_tag_becomes_files_and_notes(tmp_path: Path, changelog: str) -> None:
    assert len(OF_TAGS) == 2
    assert released(tmp_path, f"v{VERSION}", changelog) == 0
    notes = (tmp_path / "notes.md").read_text("utf-8")
    assert notes.strip() == changelog.split("2026-12-01\n")[1].split("## 0.0.9")[0].strip()


def test_a_tag_of_another_version_or_without_a_date_is_no_release(tmp_path: Path, changelog: str) -> None:
    assert released(tmp_path, "v9.9.9", changelog) != 0
    assert released(tmp_path, f"v{VERSION}", changelog.replace("2026-12-01", "unreleased")) != 0


def checkout(folder: Path, origin: Path) -> Path:
    """Return a clone in which the site is built."""
    subprocess.run(["git", "clone", "-q", str(origin), str(folder)], check=True)
    shutil.copytree(ROOT / "tools" / "site", folder / "tools" / "site")
    site, python = folder / "build/site/html/index.html", folder / ".venv-docs/bin/python"
    for file in (site, python):
        file.parent.mkdir(parents=True)
    site.write_text("the site", "utf-8")
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', "utf-8")
    python.chmod(0o755)
    return folder


def test_the_site_of_a_release_stands_beside_those_before_it(tmp_path: Path) -> None:
    origin, first = tmp_path / "origin.git", tmp_path / "first"
    subprocess.run(["git", "init", "-q", "-b", "main", str(first)], check=True)
    (first / "README.md").touch()
    who = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    subprocess.run(["git", "-C", str(first), "add", "README.md"], check=True)
    subprocess.run(["git", "-C", str(first), *who, "commit", "-qm", "begin"], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(first), str(origin)], check=True)
    (step,) = [step["run"] for step in JOBS["site"]["steps"] if "gh-pages" in step.get("run", "")]
    for tag in ("v0.1.0", "v0.2.0"):
        assert run_steps([step], checkout(tmp_path / tag, origin), tag) == 0
    listed = subprocess.run(
        ["git", "-C", str(origin), "ls-tree", "-r", "--name-only", "gh-pages"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert listed == [".nojekyll", "0.1.0/index.html", "0.2.0/index.html", "index.html", "versions.json"]


def test_the_version_is_the_same_wherever_it_stands() -> None:
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\n## {VERSION}, " in (ROOT / "CHANGELOG.md").read_text("utf-8")
