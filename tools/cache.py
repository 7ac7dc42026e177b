"""The cache outside the checkout, `$XDG_CACHE_HOME/otel_llm`: finished folders only, each made by one process."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.errors import ToolsError

LOCK_WAIT_S = 3600.0
LOCK_POLL_S = 0.5


def root() -> Path:
    """The cache folder; like every XDG variable, a relative one is ignored."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "otel_llm"


def folder(name: str, version: str) -> Path:
    return root() / name / version


def fill(target: Path, make: Callable[[Path], None]) -> bool:
    """Have `make` fill an empty folder and rename it to `target`; False when another process did so meanwhile.

    A process that dies on the way leaves a folder of another name, which the next one removes.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(target.name + ".lock")):
        if target.is_dir():
            return False
        for left in target.parent.glob(f"{target.name}.making-*"):
            shutil.rmtree(left, ignore_errors=True)
        making = Path(tempfile.mkdtemp(prefix=f"{target.name}.making-", dir=target.parent))
        try:
            making.chmod(0o755)
            make(making)
            making.rename(target)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file; the kernel lets go of it when its holder dies, so it is never stale."""
    with path.open("w") as file:
        deadline = time.monotonic() + LOCK_WAIT_S
        said = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pass
            if time.monotonic() > deadline:
                raise ToolsError(
                    f"the process that holds {path} to finish within {LOCK_WAIT_S:.0f} s",
                    "nothing",
                    "end that process and run this again",
                )
            if not said:
                print(f"waiting for the process that holds {path} ...", flush=True)
                said = True
            time.sleep(LOCK_POLL_S)
        yield
