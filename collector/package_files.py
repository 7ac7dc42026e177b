"""The configuration files that are installed with this package."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

__all__ = ["PACKAGE", "installed_rule_files", "installed_runbooks"]

PACKAGE: Final = files("otel_llm_collector")


def installed_rule_files() -> Mapping[str, str]:
    """Return the text of each rule file by its name, the hand-written one included."""
    found = sorted(PACKAGE.joinpath("rules").iterdir(), key=lambda file: file.name)
    return {file.name: file.read_text("utf-8") for file in found if file.name.endswith(".yaml")}


def installed_runbooks() -> Mapping[str, str]:
    """Return the text of each alert's runbook by its path, `runbooks/NAME.md`."""
    found = sorted(PACKAGE.joinpath("runbooks").iterdir(), key=lambda file: file.name)
    return {f"runbooks/{file.name}": file.read_text("utf-8") for file in found}
