"""Where a program is: new enough on PATH, else in the cache, else built into it."""

import os
from dataclasses import dataclass
from pathlib import Path

from tools import versions
from tools.build import build, cached
from tools.errors import ToolsError
from tools.parts import PROGRAMS, Program


@dataclass(frozen=True, slots=True)
class Found:
    program: Program
    version: str
    path: Path
    how: str  # "on PATH", "cached" or "built in N s"


def program(name: str, *, may_build: bool = False) -> Found:
    """Find `name`; without `may_build`, one that is nowhere is an error that says how to get it."""
    wanted = PROGRAMS[name]
    found, refused = _on_path(wanted)
    if found:
        return found
    path = cached(wanted.part) / name
    how = "cached"
    if may_build:
        seconds = build(wanted.part)
        how = how if seconds is None else f"built in {seconds:.0f} s"
    if not path.is_file():
        raise ToolsError(
            f"{name} {wanted.part.version} or newer",
            refused or "none on PATH or in the cache",
            f"make {wanted.part.target}",
        )
    return Found(wanted, wanted.part.version, path, how)


def _on_path(wanted: Program) -> tuple[Found | None, str]:
    """The first good one on PATH, or why those there were refused."""
    least = versions.parse(wanted.part.version) or (0, 0, 0)
    refused = []
    for path in _candidates(wanted):
        version = versions.of(wanted, path)
        if version is None or version < least:
            refused.append(f"{path} with {versions.show(version)}")
        elif missing := _missing(wanted, path):
            refused.append(f"{path} without {', '.join(missing)}")
        else:
            return Found(wanted, versions.show(version), path, "on PATH"), ""
    return None, "; ".join(refused)


def _candidates(wanted: Program) -> list[Path]:
    """Every executable of that name on PATH: an old one in front does not hide a good one behind."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    paths = [folder / name for folder in folders for name in (wanted.name, *wanted.aliases)]
    return [path.absolute() for path in paths if path.is_file() and os.access(path, os.X_OK)]


def _missing(wanted: Program, path: Path) -> list[str]:
    if not wanted.contents_args:
        return []
    contents = versions.output([str(path), *wanted.contents_args]).split()
    return [need for need in wanted.needs if need not in contents]
