"""A Prometheus rule, and groups of them as YAML."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Alert", "Rule", "group"]


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
    """An alerting rule. Its runbook is the page of its name."""

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


def group(name: str, rules: Iterable[Rule | Alert]) -> str:
    """Return a group whose rules are evaluated in order, each seeing what those before it recorded."""
    return "\n".join((f"  - name: {name}", "    rules:", *(rule.yaml() for rule in rules)))


def _body(expr: str) -> list[str]:
    return ["        expr: |-", *(f"          {line}" for line in expr.splitlines())]


def _mapping(name: str, entries: Mapping[str, str]) -> list[str]:
    if not entries:
        return []
    return [f"        {name}:", *(f"          {key}: {_quoted(value)}" for key, value in entries.items())]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
