"""The rule files: what Prometheus, or Mimir's ruler, evaluates."""

from collections.abc import Mapping
from typing import Final

from otel_llm_collector.fragment import HEADER
from otel_llm_collector.rule import group
from otel_llm_collector.rules_percentiles import by_family, union
from otel_llm_collector.series import MEASURES

__all__ = ["rule_files"]

_HEADER: Final = HEADER.format(source="collector/rules_*.py and collector/engines")


def rule_files() -> Mapping[str, str]:
    """Return the text of each rule file by its name."""
    groups = {
        "percentiles": [group(f"otel_llm_{m.name}", by_family(m)) for m in MEASURES],
        "union": [group(f"otel_llm_{m.name}_union", union(m)) for m in MEASURES],
    }
    return {name: "\n".join((f"{_HEADER}groups:", *found, "")) for name, found in groups.items()}
