"""Grafana's own types of a dashboard, of several versions, and the compiler that checks against them, from npm.

What is pinned in `tools/npm` is installed once into the cache, every archive checked against the lock. No package
runs a script of its own.
"""

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools import cache, node
from tools.errors import ToolsError

FILES = Path(__file__).parent / "npm"
NAME, PACKAGE = "grafana-types", "@grafana/schema"
NPM_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class GrafanaTypes:
    """An installed `node_modules`."""

    node: Path
    modules: Path
    how: str  # "cached" or "installed in N s"

    @property
    def compiler(self) -> list[str]:
        """The command of TypeScript's compiler."""
        return [str(self.node), str(self.modules / "typescript" / "bin" / "tsc")]

    @property
    def schemas(self) -> Mapping[str, Path]:
        """The folder of each version of Grafana's types, newest first."""
        found = {
            str(json.loads((self.modules / name / "package.json").read_text())["version"]): self.modules / name
            for name, asked in _asked().items()
            if PACKAGE in (name, asked.removeprefix("npm:").rpartition("@")[0])
        }
        return dict(sorted(found.items(), key=lambda item: int(item[0].split(".")[0]), reverse=True))


def version() -> str:
    """The newest of the pinned versions of Grafana's types."""
    return _asked()[PACKAGE]


def find(*, may_install: bool = False) -> GrafanaTypes:
    """What is installed; without `may_install`, what is not there is an error that says how to get it."""
    runs = node.find(may_install=may_install)
    target = cache.folder(NAME, f"{version()}-{_digest()}")
    how = "cached"
    if runs and may_install and not target.is_dir():
        started = time.monotonic()
        print(f"{NAME:<20} {version():<8} installing from npm ...", flush=True)
        cache.fill(target, lambda folder: _install(runs, folder))
        how = f"installed in {time.monotonic() - started:.0f} s"
    if runs is None or not target.is_dir():
        lacking = "Grafana's types" if runs else "Node.js"
        raise ToolsError(f"{PACKAGE} {version()} and Node.js to check with", f"no {lacking}", "make tools")
    return GrafanaTypes(runs.path, target / "node_modules", how)


def _asked() -> dict[str, str]:
    found: dict[str, str] = json.loads((FILES / "package.json").read_text())["dependencies"]
    return found


def _digest() -> str:
    return hashlib.sha256((FILES / "package-lock.json").read_bytes()).hexdigest()[:8]


def _install(runs: node.Node, folder: Path) -> None:
    for file in FILES.iterdir():
        shutil.copy(file, folder)
    command = [*runs.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        subprocess.run(
            command, cwd=folder, env=runs.environment(), stdin=subprocess.DEVNULL, check=True, timeout=NPM_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolsError(
            f"`npm ci` to succeed within {NPM_TIMEOUT_S:.0f} s",
            f"{type(error).__name__} (its own message is above)",
            "see whether the npm registry can be reached, then run this again",
        ) from error
