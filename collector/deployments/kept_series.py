"""Which series of an engine's page are kept, as the relabelling that Prometheus and its operator do."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from otel_llm_collector.engine_tables.table import EngineTable, Metric
from otel_llm_collector.yaml_text import quote

__all__ = ["relabelling"]

_MARK: Final = "__tmp_kept"
"""The label that marks series which a metric's `only` lets through. It is removed again."""


@dataclass(frozen=True, slots=True)
class _Step:
    action: str
    regex: str
    source: tuple[str, ...] = ()
    more: dict[str, str] = field(default_factory=dict)

    def yaml(self, camel: bool) -> str:
        entries = {"regex": quote(self.regex), "action": self.action, **self.more}
        if self.source:
            entries = {"source_labels": f"[{', '.join(self.source)}]", **entries}
        lines = [f"{_camel(key) if camel else key}: {value}" for key, value in entries.items()]
        return "- " + "\n  ".join(lines)


def relabelling(table: EngineTable, *, camel: bool = False) -> str:
    """Return the steps as a YAML list. camel: with the keys of the operator's objects, `sourceLabels`."""
    return "\n".join(step.yaml(camel) for step in _steps(table))


def _steps(table: EngineTable) -> Iterator[_Step]:
    listed = "|".join(_series(metric) for metric in table.metrics if metric.to or metric.passed)
    yield _Step("keep", listed, ("__name__",))
    chosen = [metric for metric in table.metrics if metric.only]
    for metric in chosen:
        patterns = ";".join(f"({pattern})" for pattern in metric.only.values())
        mark = {"target_label": _MARK, "replacement": "'yes'"}
        yield _Step("replace", f"{_series(metric)};{patterns}", ("__name__", *metric.only), mark)
    if chosen:
        yield _Step("drop", f"({'|'.join(map(_series, chosen))});", ("__name__", _MARK))
        yield _Step("labeldrop", _MARK)


def _series(metric: Metric) -> str:
    """Return a pattern of the names of a metric's series."""
    suffix = {"histogram": "(_bucket|_sum|_count)", "summary": "(_sum|_count)?"}.get(metric.type, "")
    return re.escape(metric.name) + suffix


def _camel(key: str) -> str:
    first, *others = key.split("_")
    return first + "".join(word.title() for word in others)
