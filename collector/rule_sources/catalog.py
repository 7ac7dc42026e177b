"""Every rule that Prometheus, or Mimir's ruler, evaluates: in which file and group it is, and what is recorded."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from otel_llm_collector.rule_sources.alerts import alerts
from otel_llm_collector.rule_sources.attainment import PROMISED, PROMISES, edge_rules, goodput_rules, slo_rules
from otel_llm_collector.rule_sources.percentiles import client_minus_server_rules, family_rules, union_rules
from otel_llm_collector.rule_sources.rule import Alert, Rule, RuleGroup
from otel_llm_collector.rule_sources.run_percentiles import run_rules
from otel_llm_collector.rule_sources.traffic import series_rules, traffic_rules
from otel_llm_collector.vocabulary.measures import MEASURES, ON_ONE_GRID, WAITED_FOR, Measure
from otel_llm_collector.yaml_text import header

__all__ = ["recorded_names", "rule_files", "rule_groups"]

_HEADER: Final = header("collector/rule_sources and collector/engines")


def rule_files() -> Mapping[str, str]:
    """Return the text of each generated rule file by its name, without `.yaml`."""
    return {
        name: "\n".join((f"{_HEADER}groups:", *(group.yaml() for group in groups), ""))
        for name, groups in rule_groups().items()
    }


def recorded_names() -> frozenset[str]:
    """Return the name of every series that rules record, those of the hand-written `rules/slo.yaml` included."""
    rules = [rule for groups in rule_groups().values() for group in groups for rule in group.rules]
    return frozenset(PROMISES) | {rule.record for rule in rules if isinstance(rule, Rule)}


def rule_groups() -> Mapping[str, Sequence[RuleGroup]]:
    """Return the groups of each generated rule file by its name, without `.yaml`."""
    return {
        "percentiles": [_group(m.name, family_rules(m)) for m in MEASURES],
        # one file each: together they are larger than what Kubernetes takes as one object
        **{f"union_{m.name}": [_group(f"{m.name}_union", _across_families(m))] for m in ON_ONE_GRID},
        "attainment": [
            _group("edges", edge_rules()),
            *(_group(f"{m.name}_attainment", slo_rules(m)) for m in PROMISED),
            _group("goodput", goodput_rules()),
        ],
        "runs": [_group(f"{m.name}_runs", run_rules(m)) for m in PROMISED],
        "load": [_group("load", traffic_rules()), _group("series", series_rules(), interval="1m")],
        "alerts": [_group("alerts", alerts())],
    }


def _group(name: str, rules: Iterable[Rule | Alert], interval: str = "") -> RuleGroup:
    return RuleGroup(f"otel_llm_{name}", tuple(rules), interval)


def _across_families(measure: Measure) -> Iterator[Rule]:
    yield from union_rules(measure)
    if measure in WAITED_FOR:  # of what is inside an engine a client sees nothing
        yield from client_minus_server_rules(measure)
