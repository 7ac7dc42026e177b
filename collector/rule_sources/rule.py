"""A Prometheus rule, and groups of rules as YAML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from otel_llm_collector.yaml_text import quote

__all__ = ["RUNBOOKS", "SEVERITIES", "Alert", "Rule", "RuleGroup", "either"]

RUNBOOKS: Final = "runbooks/"
"""Where runbooks are, from the folder of the kit. Who publishes them elsewhere puts that place instead."""
SEVERITIES: Final = ("page", "ticket")
"""What an alert's `severity` is: somebody is woken, or it can wait until the morning."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A recording rule."""

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def yaml(self) -> str:
        """Return it as an item of a group."""
        return "\n".join((f"      - record: {self.record}", *_body(self.expr), *_mapping("labels", self.labels)))


@dataclass(frozen=True, slots=True)
class Alert:
    """An alerting rule. Its runbook is runbooks/NAME.md, and `severity` is page or ticket."""

    name: str
    expr: str
    lasting: str
    severity: str
    summary: str

    def yaml(self) -> str:
        """Return it as an item of a group."""
        notes = {"summary": self.summary, "runbook_url": f"{RUNBOOKS}{self.name}.md"}
        return "\n".join(
            (
                f"      - alert: {self.name}",
                *_body(self.expr),
                f"        for: {self.lasting}",
                *_mapping("labels", {"severity": self.severity}),
                *_mapping("annotations", notes),
            )
        )


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules that Prometheus evaluates in order, so that each sees what those before it recorded."""

    name: str
    rules: Sequence[Rule | Alert]
    interval: str = ""
    """How often, where that is not what Prometheus is set to."""

    def yaml(self) -> str:
        """Return it as an item of a rule file's `groups`."""
        often = [f"    interval: {self.interval}"] if self.interval else []
        return "\n".join((f"  - name: {self.name}", *often, "    rules:", *(rule.yaml() for rule in self.rules)))


def either(terms: Sequence[str]) -> str:
    """Return series that are in any of these, in pairs of pairs: each `or` looks at all that stands left of it."""
    if len(terms) == 1:
        return terms[0]
    middle = len(terms) // 2
    return f"({either(terms[:middle])}\nor {either(terms[middle:])})"


def _body(expr: str) -> list[str]:
    return ["        expr: |-", *(f"          {line}" for line in expr.splitlines())]


def _mapping(name: str, entries: Mapping[str, str]) -> list[str]:
    if not entries:
        return []
    return [f"        {name}:", *(f"          {key}: {quote(value)}" for key, value in entries.items())]
