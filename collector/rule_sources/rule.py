"""A Prometheus rule, and groups of rules as YAML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from otel_llm_collector.yaml_text import quote

__all__ = ["Alert", "Rule", "RuleGroup"]


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
    """An alerting rule. Its runbook is docs/runbooks/NAME.md."""

    name: str
    expr: str
    lasting: str
    severity: str
    summary: str

    def yaml(self) -> str:
        """Return it as an item of a group."""
        notes = {"summary": self.summary, "runbook": f"docs/runbooks/{self.name}.md"}
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

    def yaml(self) -> str:
        """Return it as an item of a rule file's `groups`."""
        return "\n".join((f"  - name: {self.name}", "    rules:", *(rule.yaml() for rule in self.rules)))


def _body(expr: str) -> list[str]:
    return ["        expr: |-", *(f"          {line}" for line in expr.splitlines())]


def _mapping(name: str, entries: Mapping[str, str]) -> list[str]:
    if not entries:
        return []
    return [f"        {name}:", *(f"          {key}: {quote(value)}" for key, value in entries.items())]
