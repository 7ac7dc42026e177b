"""Recording rules for a Prometheus that scrapes engines itself: their series once more, under the common names.

They are what the Collector does, in PromQL: labels and edges renamed, errors told apart, totals without their parts.
Series are never added up here, so that a restart of one of them remains one that `rate` sees. What PromQL cannot
rename are buckets in other units than seconds: those metrics are left out.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from otel_llm import conventions
from otel_llm_collector.engine_tables.table import ATTRIBUTES, EngineTable, Metric
from otel_llm_collector.rule_sources.dimensions import FAMILY, MODEL, VANTAGE
from otel_llm_collector.rule_sources.rule import Rule, RuleGroup
from otel_llm_collector.vocabulary import bucket_family
from otel_llm_collector.vocabulary.prometheus_names import label_name, series_name
from otel_llm_collector.yaml_text import header

__all__ = ["OTHER_EDGES", "is_taken", "scraped_files"]

OTHER_EDGES: Final = "other"
"""The family of histograms whose edges are not those of the table: PromQL cannot compute a name for them."""

_NOT_NONE: Final = "([^N].*|N[^o].*|No[^n].*|Non[^e].*|None.+|Non?|N)"
"""What a gateway in Python writes for a value that it does not have is no value."""
_ERROR: Final = label_name(conventions.ERROR_TYPE)
_PLACES: Final = {"cluster": conventions.CLUSTER, "namespace": conventions.NAMESPACE, "pod": conventions.POD}
"""What the Prometheus operator, and most others, call these labels."""


def scraped_files(tables: Sequence[EngineTable]) -> Mapping[str, str]:
    """Return the text of each engine's rule file by its name, without `.yaml`."""
    return {
        table.name: f"{header(f'collector/engines/{table.name}.toml')}groups:\n{_group(table).yaml()}\n"
        for table in tables
    }


def is_taken(metric: Metric) -> bool:
    """Return whether these rules give a metric its common name."""
    return bool(metric.to) and not (metric.type == "histogram" and metric.scale != 1)


def _group(table: EngineTable) -> RuleGroup:
    rules = [rule for metric in table.metrics if is_taken(metric) for rule in _rules(metric, table)]
    return RuleGroup(f"otel_llm_scraped_{table.name}", tuple(rules))


def _rules(metric: Metric, table: EngineTable) -> Iterator[Rule]:
    name, seen = series_name(metric.instrument), {label_name(conventions.ENGINE): table.name, VANTAGE: table.vantage}
    seen |= {label_name(ATTRIBUTES[key]): value for key, value in table.says.items()}
    if metric.type != "histogram":
        yield Rule(name, _renamed(_selected(metric, table), metric, table), seen)
        return
    for suffix in ("_count", "_sum"):
        yield Rule(f"{name}{suffix}", _renamed(_selected(metric, table, suffix), metric, table), seen)
    buckets = _selected(metric, table, "_bucket")
    known = {bucket_family.name(edges): edges for edges in table.edges_by_version(metric).values()}
    alike = {family: _has_edges(metric, edges) for family, edges in known.items()}
    for family, condition in alike.items():
        chosen = f"{buckets}\nand ignoring (le) ({condition})"
        yield Rule(f"{name}_bucket", _plain_le(_renamed(chosen, metric, table)), {**seen, FAMILY: family})
    others = "".join(f"\nunless ignoring (le) ({condition})" for condition in alike.values())
    yield Rule(
        f"{name}_bucket", _plain_le(_renamed(f"{buckets}{others}", metric, table)), {**seen, FAMILY: OTHER_EDGES}
    )


def _selected(metric: Metric, table: EngineTable, suffix: str = "") -> str:
    """Return the series of a metric that are taken: those that `only` lets through, in the instrument's unit."""
    matchers = ", ".join(
        f'{label}=~"{pattern}"' if pattern else f'{label}=""' for label, pattern in metric.only.items()
    )
    series = f"{metric.name}{suffix}" + (f"{{{matchers}}}" if matchers else "")
    if metric.scale != 1:
        series = f"{metric.scale:.12g} * {series}"
    if table.copies and metric.type == "gauge":
        series = f"max without ({', '.join(table.copies)}) ({series})"
    anchor = next((each.name for each in table.metrics if each.to and each.type == "gauge"), "")
    if anchor and metric.name.startswith("http_"):  # a name that anything may have
        series = f"{series}\nand on (job, instance) {anchor}"
    return series


def _has_edges(metric: Metric, edges: Sequence[float]) -> str:
    """Return a condition that only histograms with just these edges fulfil."""
    les = "|".join((*(re.escape(repr(edge).removesuffix(".0")) + r"(\.0)?" for edge in edges), r"\+Inf"))
    every, these = f"{metric.name}_bucket", f"{metric.name}_bucket{{le=~{json.dumps(les)}}}"
    number = len(edges) + 1
    return f"count without (le) ({these}) == {number} and count without (le) ({every}) == {number}"


def _renamed(series: str, metric: Metric, table: EngineTable) -> str:
    """Return series with the common labels beside their own."""
    value = _NOT_NONE if "response_model" in table.labels.values() else "(.+)"
    replaced = [(label_name(key), "$1", source, "(.+)") for source, key in _PLACES.items()]
    for label, key in table.labels.items():
        if key == "response_model":  # stands in for a model that was not asked for by name
            replaced.append((MODEL, "$1", label, value))
        replaced.append((label_name(ATTRIBUTES[key]), "$1", label, value))
    if metric.error:
        replaced.append((_ERROR, metric.error, _ERROR, ""))
    for label, pattern in metric.error_when.items():
        replaced += [(_ERROR, "$1", label, f"({pattern})"), (_ERROR, "_OTHER", _ERROR, "None")]
    return _replace(series, replaced)


def _replace(series: str, replaced: Sequence[tuple[str, str, str, str]]) -> str:
    """Return series with labels replaced, in this order, each as `label_replace` takes it."""
    if not replaced:
        return series
    calls = "".join(f",\n{', '.join(map(json.dumps, each))})" for each in replaced)
    return f"{'label_replace(' * len(replaced)}\n{series}{calls}"


def _plain_le(series: str) -> str:
    """Return buckets with `le` as the Collector has it: 1, not 1.0."""
    return _replace(series, [("le", "$1", "le", r"(.+)\.0")])
