"""Checkpoints: a model's parameters, history and whatever its class adds, as one versioned JSON file.

Written whole or not at all, readable without running anything, and free of secrets: only named values are in it.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from otel_llm.errors import ConfigError
from otel_llm.instrumentation.calls.destination import DESTINATION

__all__ = ["VERSION", "read", "write"]

FORMAT: Final = "otel_llm.checkpoint"
VERSION: Final = 1
_MEMBERS: Final[dict[str, Any]] = {
    "parameters": dict,
    "history": list,
    "creative": dict | None,
    "extra": dict | None,
}


def write(directory: str | os.PathLike[str], state: Mapping[str, Any]) -> Path:
    """Return the path of a new file in `directory` (made where missing) that holds `state`, a JSON object.

    It is called checkpoint_YYYYmmdd-HHMMSS.ckpt, with -1, -2, ... before the suffix where that exists. Raises
    TypeError when a value is no JSON.
    """
    folder = Path(directory)
    text = json.dumps({"format": FORMAT, "version": VERSION, **state}, indent=2)
    folder.mkdir(parents=True, exist_ok=True)
    clock = DESTINATION.clock
    local = datetime.fromtimestamp(clock.wall_ns(clock.now_ns()) / 1e9)  # noqa: DTZ006  # as swarms' page has it
    stamp = f"{local:%Y%m%d-%H%M%S}"
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".checkpoint-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        return _named(Path(temporary), folder, f"checkpoint_{stamp}")
    finally:
        Path(temporary).unlink(missing_ok=True)


def _named(temporary: Path, folder: Path, stem: str) -> Path:
    """Give the written file its name: linked, not renamed, so that no other's checkpoint is ever replaced."""
    attempt = 0
    while True:
        path = folder / f"{stem}{f'-{attempt}' if attempt else ''}.ckpt"
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            attempt += 1
        else:
            return path


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the state in a checkpoint. Raises FileNotFoundError, and ConfigError when the file cannot be used."""
    text = Path(path).read_bytes()
    try:
        state = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"a checkpoint in {path}", error, "it is damaged or no checkpoint at all") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ConfigError(f"a checkpoint in {path}", str(text[:40]), "save one with save_checkpoint()")
    version = state.get("version")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise ConfigError(f"a checkpoint of version {VERSION} in {path}", version, "read it with a newer otel_llm")
    for name, kind in _MEMBERS.items():
        if not isinstance(state.get(name), kind):
            raise ConfigError(f"{name} in {path}", state.get(name), "it is damaged")
    return state
