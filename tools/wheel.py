"""The wheel of llama-cpp-python, of which PyPI has the source only: built once, kept in the cache.

For a tiny model on any machine: no code for this very processor, no vision, none of the library that llama.cpp's own
programs share, and little optimisation. That takes a third of the time to compile.
"""

import hashlib
import os
import platform
import shutil
import sys
import time
from pathlib import Path

from tools import cache, logged
from tools.errors import ToolsError

REQUIREMENTS = Path(__file__).parent.parent / "requirements"
SOURCE, BUILDERS = REQUIREMENTS / "llama-cpp.lock", REQUIREMENTS / "llama-cpp-build.lock"
CMAKE_ARGS = (
    "-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF -DLLAMA_OPENSSL=OFF -DCMAKE_C_FLAGS_RELEASE=-O1 -DCMAKE_CXX_FLAGS_RELEASE=-O1"
)
WITHOUT = "set(LLAMA_BUILD_COMMON OFF)\n"  # the source insists on its cache variable; a plain one goes first
COLD_S = 250
NEXT_STEP = "see what the compiler or pip says there, then run this again"


def llama_cpp() -> Path:
    """The wheel, from the cache or built into it; what there is to say meanwhile goes to standard error."""
    name, version = SOURCE.read_text().split()[0].split("==")
    target = cache.folder(name, f"{version}-{_digest()}")
    if not target.is_dir():
        print(f"{name:<20} {version:<8} building from source (about {COLD_S} s) ...", file=sys.stderr, flush=True)
        started = time.monotonic()
        cache.fill(target, lambda folder: _build(folder, target.with_name(target.name + ".log")))
        print(f"{name:<20} {version:<8} built in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    (wheel,) = target.glob("*.whl")
    return wheel


def _digest() -> str:
    """Of all that decides what is built."""
    decides = repr((platform.system(), platform.machine(), platform.libc_ver(), CMAKE_ARGS, WITHOUT)).encode()
    return hashlib.sha256(decides + SOURCE.read_bytes() + BUILDERS.read_bytes()).hexdigest()[:8]


def find_compiler() -> None:
    """Raise ToolsError where no C++ compiler is on PATH."""
    if not any(shutil.which(name) for name in (os.environ.get("CXX", ""), "c++", "g++", "clang++") if name):
        raise ToolsError("a C++ compiler on PATH", "none", "install one (Debian: apt-get install g++)")


def _build(folder: Path, log: Path) -> None:
    """Build in a throw-away virtual environment, everything in it checked against its lock."""
    find_compiler()
    environment = folder / "venv"
    python = str(environment / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    wheel = [*pip, "wheel", "-v", "--no-cache-dir", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    without = folder / "without.cmake"
    without.write_text(WITHOUT)
    with log.open("wb") as output:
        logged.run([sys.executable, "-m", "venv", str(environment)], output.fileno(), log, NEXT_STEP)
        logged.run([*pip, "install", "--require-hashes", "-r", str(BUILDERS)], output.fileno(), log, NEXT_STEP)
        told = {
            **os.environ,
            "PATH": os.pathsep.join([str(environment / "bin"), os.environ.get("PATH", "")]),
            "CMAKE_ARGS": f"{CMAKE_ARGS} -DCMAKE_PROJECT_INCLUDE={without}",
        }
        logged.run([*wheel, "--require-hashes", "-r", str(SOURCE)], output.fileno(), log, NEXT_STEP, env=told)
    without.unlink()
    shutil.rmtree(environment)
    log.unlink()
