"""Model servers that no registry has ready to run, compiled from sources that are pinned here."""

import platform
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tools import golang, wheel
from tools.environments import Run
from tools.parts import MODULES
from tools.wheel import SOURCE

_LLAMA_CPP = "vendor/llama.cpp"
_OLLAMA = MODULES / "ollama"


class Ollama:
    """Ollama, from its Go module. Headers that modules leave out are in the archive of llama-cpp-python."""

    @property
    def version(self) -> str:
        found = re.search(r"github\.com/ollama/ollama v(\S+)", (_OLLAMA / "go.mod").read_text())
        return found[1] if found else ""

    def decides(self) -> bytes:
        files = (_OLLAMA / "go.mod", _OLLAMA / "go.sum", SOURCE)
        return repr(_c_environment(Path())).encode() + b"".join(file.read_bytes() for file in files)

    def build(self, folder: Path, run: Run) -> None:
        wheel.find_compiler()
        headers = _unpack(folder, run) / _LLAMA_CPP / "vendor"
        work = folder / "work"
        work.mkdir()
        for file in _OLLAMA.iterdir():
            (work / file.name).write_bytes(file.read_bytes())
        stamp = f"-s -w -X github.com/ollama/ollama/version.Version={self.version}"
        build = ["build", "-trimpath", f"-ldflags={stamp}", "-o", str(folder / "bin" / "ollama")]
        told = {**golang.environment(), **_c_environment(headers)}
        run([str(golang.find()), *build, "github.com/ollama/ollama"], cwd=work, env=told)


def _c_environment(headers: Path) -> Mapping[str, str]:
    """What cgo passes on; a processor of x86 takes the code that every one of the last ten years can run."""
    flags = "-O1 -mavx2 -mfma -mf16c" if platform.machine() in ("x86_64", "AMD64") else "-O1"
    return {"CGO_ENABLED": "1", "CGO_CPPFLAGS": f"-I{headers}", "CGO_CFLAGS": flags, "CGO_CXXFLAGS": flags}


def _unpack(folder: Path, run: Run) -> Path:
    """Have pip fetch the archive and check it; return its folder below `folder`/source, which is removed afterwards."""
    source = folder / "source"
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    fetch = ["download", "--no-deps", "--no-build-isolation", "--no-binary", ":all:", "-d", str(source)]
    run([*pip, *fetch, "--require-hashes", "-r", str(SOURCE)])
    (archive,) = source.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(source, filter="data")
    (unpacked,) = (path for path in source.iterdir() if path.is_dir())
    return unpacked
