"""One `go build` of a part into the cache."""

import hashlib
import platform
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools import cache, golang, logged
from tools.parts import MODULES, Part

NEXT_STEP = "see whether the Go module proxy can be reached, then run this again: what was compiled is kept"


def cached(part: Part) -> Path:
    """Where the programs of `part` lie, or would: the version, and a digest of all that decides what is built."""
    digest = hashlib.sha256(repr((platform.system(), platform.machine(), _arguments(part))).encode())
    module = MODULES / part.module
    for file in sorted(path for path in module.rglob("*") if path.is_file()):
        digest.update(file.relative_to(module).as_posix().encode() + b"\0" + file.read_bytes())
    return cache.folder(part.name, f"{part.version}-{digest.hexdigest()[:8]}")


def build(part: Part) -> float | None:
    """Build `part` unless the cache has it; the seconds it took, or None when it was there."""
    target = cached(part)
    if target.is_dir():
        return None
    go = golang.find()
    print(
        f"{part.name:<20} {part.version:<8} building from Go modules (first time about {part.cold_s} s) ...", flush=True
    )
    started = time.monotonic()
    made = cache.fill(target, lambda folder: _compile(part, go, folder, target.with_name(target.name + ".log")))
    return time.monotonic() - started if made else None


def _compile(part: Part, go: Path, folder: Path, log: Path) -> None:
    """Build in a copy of the module files, since Go completes go.mod in place."""
    source = folder / "source"
    shutil.copytree(MODULES / part.module, source)
    for program, package in part.packages.items():
        command = [str(go), "build", *_arguments(part), "-o", str(folder / program), package]
        with log.open("wb") as output:
            logged.run(
                command, output.fileno(), log, NEXT_STEP,
                cwd=source, env=golang.environment(), named=slice(2), reader=sys.stdout,
            )  # fmt: skip
    shutil.rmtree(source)
    log.unlink()


def _arguments(part: Part) -> Sequence[str]:
    stamp = f" -X {part.stamp}" if part.stamp else ""
    return ["-trimpath", f"-ldflags=-s -w{stamp}", *(["-tags", part.tags] if part.tags else [])]
