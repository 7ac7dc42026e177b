"""Which version a program has: what it prints, or what the Go linker wrote into the file."""

import mmap
import re
import subprocess
from pathlib import Path

from tools.parts import Program

ASK_TIMEOUT_S = 20.0
NUMBER = re.compile(r"(?<![\w.])v?(\d+)\.(\d+)\.(\d+)")

Version = tuple[int, int, int]


def parse(text: str) -> Version | None:
    """The first three-part number in `text`, which is where every program prints its own."""
    found = NUMBER.search(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def show(version: Version | None) -> str:
    return ".".join(map(str, version)) if version else "no version"


def output(command: list[str]) -> str:
    """What `command` prints on either stream; empty when it fails or takes longer than 20 s."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=ASK_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace")


def of(program: Program, path: Path) -> Version | None:
    """The version of the executable at `path`, or None when it does not say."""
    if program.version_args is not None:
        return parse(output([str(path), *program.version_args]))
    return from_build_record(path, program.part.packages[program.name])


def from_build_record(path: Path, package: str) -> Version | None:
    """The module version in the build record that Go keeps in every executable, stripped or not."""
    module = "/".join(package.split("/")[:3])
    wanted = re.compile(rb"(?:mod|dep)\t" + re.escape(module.encode()) + rb"\tv(\d+)\.(\d+)\.(\d+)")
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = wanted.search(data)
            return (int(found[1]), int(found[2]), int(found[3])) if found else None
    except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
        return None
