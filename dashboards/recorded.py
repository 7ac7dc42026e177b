"""Names of recorded series, each of them one that the Collector's rules do record."""

import functools
import re
from importlib.resources import files

from otel_llm.errors import ConfigError

__all__ = ["recorded", "rule_files"]


def recorded(name: str) -> str:
    """Return the full name of, for example, `kv_cache:max`; ConfigError when nothing records that."""
    full = f"otel_llm:{name}"
    if full not in _known():
        raise ConfigError("a series that collector/rules records", full, "see docs/percentiles.md")
    return full


def rule_files() -> dict[str, str]:
    """Return the text of each rule file by its file name."""
    found = sorted(files("otel_llm_collector").joinpath("rules").iterdir(), key=lambda file: file.name)
    return {file.name: file.read_text("utf-8") for file in found if file.name.endswith(".yaml")}


@functools.cache
def _known() -> frozenset[str]:
    return frozenset(name for text in rule_files().values() for name in re.findall(r"- record: (\S+)", text))
