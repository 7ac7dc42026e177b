"""Virtual environments of other people's programs, in the cache outside the checkout.

Each is made from its lock, every hash checked, in one step and under a lock (see tools.cache). What is in a lock
decides the folder's name: a renewed lock is another environment. Some have a program that is compiled into them.
Standard library only.
"""

import hashlib
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tools import cache, logged
from tools.errors import ToolsError
from tools.packaged import REQUIREMENTS

_PACKAGES = "lib/python3.*/site-packages"
NEXT_STEP = "see what pip or the compiler says there, then run this again"

Run = Callable[..., None]
"""Runs a command, with `cwd` and `env` where given; what it prints is in the log. Raises ToolsError where it fails."""


class Compiled(Protocol):
    """A program that is compiled into an environment, once its packages are there."""

    @property
    def version(self) -> str:
        """The version of the program, which is that of the environment."""

    def decides(self) -> bytes:
        """Return all that decides what comes out, besides the lock."""

    def build(self, folder: Path, run: Run) -> None:
        """Put the program into `folder`/bin. What is left in `folder`/source and `folder`/work is removed."""


@dataclass(frozen=True, slots=True)
class Environment:
    """`distribution` as it is locked in `requirements/KIND`; `needs` is the oldest Python it runs on."""

    kind: str
    distribution: str
    needs: tuple[int, int] = (3, 11)
    size: str = "some GB"
    complete: bool = True
    """Whether the lock holds all that its packages ask for; where not, pip is told not to look for the rest."""
    program: Compiled | None = None
    over: "Environment | None" = None
    """One that has to be there, whose packages are found behind its own."""

    @property
    def lock(self) -> Path:
        return REQUIREMENTS / self.kind / f"{self.distribution}.lock"

    @property
    def version(self) -> str:
        if self.program is not None:
            return self.program.version
        for line in self.lock.read_text().splitlines():
            name, _, rest = line.partition("==")
            if name.partition("[")[0] == self.distribution:
                return rest.split()[0]
        raise ToolsError(f"{self.distribution} in {self.lock}", "none", "make lock")

    @property
    def folder(self) -> Path:
        decides = repr((platform.system(), platform.machine(), platform.libc_ver())).encode()
        compiled = self.program.decides() if self.program else b""
        below = self.over.folder.name.encode() if self.over else b""
        digest = hashlib.sha256(decides + self.lock.read_bytes() + compiled + below).hexdigest()[:8]
        return cache.folder(self.kind, f"{self.distribution}-{self.version}-{digest}")

    @property
    def installed(self) -> bool:
        return self.folder.is_dir() and (self.over is None or self.over.installed)

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def packages(self) -> Path:
        """Its site-packages."""
        (found,) = self.folder.glob(_PACKAGES)
        return found

    def script(self, name: str) -> list[str]:
        """Return the start of a command line. A script's own first line names the folder it was made in: not used."""
        return [self.python, str(self.folder / "bin" / name)]

    def make(self) -> float | None:
        """Make it unless it is there; return the seconds that took, None when it was."""
        if self.installed:
            return None
        if self.over is not None:
            self.over.make()
        pythons = _pythons() if self.over is None else [self.over.python]
        python = next((found for found in pythons if _version(found) >= self.needs), None)
        wanted = ".".join(map(str, self.needs))
        if python is None:
            raise ToolsError(
                f"Python {wanted} or newer for {self.distribution}",
                "none on PATH",
                "install it and put it on PATH",
            )
        print(f"{self.distribution:<15} {self.version:<8} installing ({self.size}) ...", flush=True)
        started = time.monotonic()
        log = self.folder.with_name(self.folder.name + ".log")
        made = cache.fill(self.folder, lambda folder: self._install(folder, python, log))
        return time.monotonic() - started if made else None

    def _install(self, folder: Path, python: str, log: Path) -> None:
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--no-compile"]
        partly = [] if self.complete else ["--no-deps"]
        with log.open("wb") as output:

            def run(command: list[str], **where: Any) -> None:
                logged.run(command, output.fileno(), log, NEXT_STEP, **where)

            run([python, "-m", "venv", str(folder)])
            run([*pip, *partly, "--require-hashes", "-r", str(self.lock)])
            if self.over is not None:
                (packages,) = folder.glob(_PACKAGES)
                (packages / "over.pth").write_text(f"{self.over.packages}\n")
            if self.program is not None:
                self.program.build(folder, run)
        for left in ("source", "work"):
            shutil.rmtree(folder / left, ignore_errors=True)
        log.unlink()


def make_all(environments: Iterable[Environment]) -> int:
    """Make them, one line each; 0 when every one is there, 1 when one is not."""
    code = 0
    for environment in environments:
        try:
            took = environment.make()
        except ToolsError as error:
            print(error, file=sys.stderr)
            code = 1
            continue
        how = "cached" if took is None else f"made in {took:.0f} s"
        print(f"{environment.distribution:<15} {environment.version:<8} {how:<15} {environment.folder}", flush=True)
    return code


def _pythons() -> Iterator[str]:
    yield sys.executable
    for minor in (12, 13, 11):
        found = shutil.which(f"python3.{minor}")
        if found:
            yield found


def _version(python: str) -> tuple[int, ...]:
    """Return its major and minor number, () for one that does not run."""
    asked = [python, "-c", "import sys; print(*sys.version_info[:2])"]
    out = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return tuple(map(int, out.split()))
