"""The rule files: what Prometheus, or Mimir's ruler, evaluates."""

from collections.abc import Mapping
from typing import Final

from otel_llm_collector.alerts import alerts
from otel_llm_collector.fragment import HEADER
from otel_llm_collector.rule import group
from otel_llm_collector.rules_load import between, load
from otel_llm_collector.rules_percentiles import by_family, union
from otel_llm_collector.rules_runs import run
from otel_llm_collector.rules_slo import PROMISED, attainment, goodput
from otel_llm_collector.series import MEASURES

__all__ = ["rule_files"]

_HEADER: Final = HEADER.format(source="collector/rules_*.py and collector/engines")


def rule_files() -> Mapping[str, str]:
    """Return the text of each rule file by its name."""
    groups = {
        "percentiles": [group(f"otel_llm_{m.name}", by_family(m)) for m in MEASURES],
        # one file each: together they are more than Kubernetes takes as one object
        **{f"union_{m.name}": [group(f"otel_llm_{m.name}_union", (*union(m), *between(m)))] for m in MEASURES},
        "attainment": [
            *(group(f"otel_llm_{m.name}_attainment", attainment(m)) for m in MEASURES if m.name in PROMISED),
            group("otel_llm_goodput", goodput()),
        ],
        "runs": [group(f"otel_llm_{m.name}_runs", run(m)) for m in MEASURES if m.name in PROMISED],
        "load": [group("otel_llm_load", load())],
        "alerts": [group("otel_llm_alerts", alerts())],
    }
    return {name: "\n".join((f"{_HEADER}groups:", *found, "")) for name, found in groups.items()}
