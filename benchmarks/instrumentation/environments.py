"""An environment for each library, from its lock: made once, kept outside of the checkout."""

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from tools import cache
from tools.errors import ToolsError

ROOT = Path(__file__).parent.parent.parent
_OURS = "otel_llm"


def python_of(library: str) -> Path:
    """Return the Python of a library's environment, which is made where it is missing."""
    target = cache.folder("instrumentation", f"{library}-{_digest(library)}")
    if not target.is_dir():
        print(f"installing {library} into {target} ...", file=sys.stderr, flush=True)
        cache.fill(target, lambda folder: _install(library, folder))
    return target / "bin" / "python"


def _locks(library: str) -> list[Path]:
    names = ["build.lock", f"compare-{library}.lock"] if library == _OURS else [f"compare-{library}.lock"]
    return [ROOT / "requirements" / name for name in names]


def _digest(library: str) -> str:
    """Of all that decides what is installed. Ours is this very checkout, which is linked and not copied."""
    decides = b"".join(path.read_bytes() for path in _locks(library)) + sys.version.encode()
    if library == _OURS:
        decides += bytes(ROOT) + (ROOT / "pyproject.toml").read_bytes()
    return hashlib.sha256(decides).hexdigest()[:8]


def _install(library: str, folder: Path) -> None:
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-q", "install"]
    steps = [[*pip, "--require-hashes", *(word for lock in _locks(library) for word in ("-r", str(lock)))]]
    if library == _OURS:
        steps.append([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ToolsError(f"pip to install {library}", done.stderr.strip()[-300:] or "nothing", "see its message")
    for left in ROOT.glob("*.egg-info") if library == _OURS else ():
        shutil.rmtree(left)  # would be found before what is installed, and grow old
