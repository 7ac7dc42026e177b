"""In what runs differ beside their figures: options, versions, and engines that were looked at."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from otel_llm.load.plan.arguments import flags

__all__ = ["options_that_differ", "versions_that_differ"]

_NOT_THE_LOAD: Final = frozenset((
    "name", "append", "json", "jsonl", "debug", "log_every_n_query", "compat", "otlp_endpoint", "otlp_protocol",
    "histograms", "wandb_api_key", "no_content", "strict", "slo", "slo_attainment", "fail_if", "junit", "calibrate",
))  # fmt: skip
"""Options that change where results go, and not what is measured."""


def options_that_differ(
    first: Mapping[str, Any], second: Mapping[str, Any], *, both: bool = False
) -> Iterator[tuple[str, str, str]]:
    """Yield the options in which runs differ. both: only those that both say something of"""
    known = flags()
    for name in dict.fromkeys((*first, *second)):
        if both and None in (first.get(name), second.get(name)):
            continue
        one, other = first.get(name), second.get(name)
        if _shown(one) != _shown(other) and name not in _NOT_THE_LOAD:
            yield known.get(name, name), _shown(one), _shown(other)


def versions_that_differ(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield what measured the runs, and which engines it looked at, where that differs."""
    one, other = ({**report["run"].get("versions", {}), **_engines(report)} for report in (first, second))
    for name in one.keys() & other.keys():
        if one[name] != other[name]:
            yield f"version of {name}" if name != "engine" else name, str(one[name]), str(other[name])


def _engines(report: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the engines whose metrics a run looked at; nothing of one that did not."""
    sources = (report.get("server") or {}).get("sources", ())
    found = sorted({source["engine"] for source in sources if source["engine"]})
    return {"engine": ", ".join(found)} if found else {}


def _shown(value: Any) -> str:
    return "not given" if value in (None, [], {}) else str(value)
