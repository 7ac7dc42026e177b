"""Packages from npm: what is pinned in a folder below `tools/npm` is installed once into the cache.

Every archive is checked against the lock, and no package runs a script of its own.
"""

import hashlib
import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tools import cache, node
from tools.errors import ToolsError

NPM_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Installed:
    """A `node_modules` in the cache."""

    node: Path
    modules: Path
    how: str  # "cached" or "installed in N s"


@dataclass(frozen=True, slots=True)
class Packages:
    """What a folder below `tools/npm` pins. Its folder in the cache has its `name`."""

    name: str
    package: str  # the one whose version stands for all
    what: str  # what is lacking where it is not installed

    @property
    def files(self) -> Path:
        return Path(__file__).parent / "npm" / self.name

    @property
    def asked(self) -> dict[str, str]:
        """The packages and what is asked for of each."""
        found: dict[str, str] = json.loads((self.files / "package.json").read_text())["dependencies"]
        return found

    @property
    def version(self) -> str:
        return self.asked[self.package]

    def find(self, *, may_install: bool = False) -> Installed:
        """What is installed; without `may_install`, what is not there is an error that says how to get it."""
        runs = node.find(may_install=may_install)
        target = cache.folder(self.name, f"{self.version}-{self._digest()}")
        how = "cached"
        if runs and may_install and not target.is_dir():
            started = time.monotonic()
            print(f"{self.name:<20} {self.version:<8} installing from npm ...", flush=True)
            cache.fill(target, lambda folder: self._install(runs, folder))
            how = f"installed in {time.monotonic() - started:.0f} s"
        if runs is None or not target.is_dir():
            lacking = self.what if runs else "Node.js"
            raise ToolsError(f"{self.package} {self.version} and Node.js to check with", f"no {lacking}", "make tools")
        return Installed(runs.path, target / "node_modules", how)

    def _digest(self) -> str:
        return hashlib.sha256((self.files / "package-lock.json").read_bytes()).hexdigest()[:8]

    def _install(self, runs: node.Node, folder: Path) -> None:
        for file in self.files.iterdir():
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


AXE = Packages("axe-core", "axe-core", "axe-core")
"""What finds out whether a page can be used by people who cannot see it, or not well."""

PYRIGHT = Packages("pyright", "pyright", "pyright")
"""The type checker of many editors, which must understand what `metrics` gives as mypy does."""
