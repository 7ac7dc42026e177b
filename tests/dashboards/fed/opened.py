"""The boards as a person has them open: variables at what they stand at, and every query with them filled in."""

import re
from collections.abc import Mapping
from typing import Any

from tests.dashboards.boards import BOARDS, Expression, query_of, variables
from tests.dashboards.fed.asking import RANGE_S, STEP_S, Asking, seen
from tests.dashboards.grafana import Chosen, built_in, interpolate
from tests.dashboards.promql import compared

GIVEN = built_in(RANGE_S, STEP_S)
ALL = "$__all"


class Opened:
    """All boards on one Prometheus.

    picked: values of variables that the person has set, by the variables' names; all others are left as they come
    """

    def __init__(self, asking: Asking, picked: Mapping[str, str]) -> None:
        self._asking, self.picked = asking, picked
        self._chosen: dict[str, dict[str, Chosen]] = {}

    def has_data(self, expression: Expression) -> bool:
        """Whether there is a value to see: no answer is none, and neither is one of nothing but NaN."""
        if expression.kind == "variable":
            return bool(self._values(expression.text, self.chosen(expression.board), expression.regex))
        text = self.filled(expression)
        if expression.kind == "alert":
            return all(seen(self._asking.instant(part)) for part in compared(text))
        over_time = expression.kind in ("range", "annotation")
        return seen(self._asking.range(text) if over_time else self._asking.instant(text))

    def filled(self, expression: Expression) -> str:
        """The text as Prometheus gets it. A rule has no variables."""
        if not expression.board:
            return expression.text
        return interpolate(expression.text, self.chosen(expression.board), GIVEN)

    def chosen(self, board: str) -> Mapping[str, Chosen]:
        """What the variables stand at: what was picked, else what the board says, else all, else the first value.

        In the order they have on the board, as later ones ask with the values of earlier ones. One that had no value
        yet is asked again.
        """
        known, found = self._chosen.setdefault(board, {}), {}
        for variable in variables(BOARDS[board]):
            name = variable["name"]
            found[name] = made = known.get(name) or self._standing(variable, found)
            if made.values or made.all_value:
                known[name] = made
        return found

    def options(self, board: str) -> dict[str, list[str]]:
        """What can be chosen of each query variable."""
        asked = [each for each in variables(BOARDS[board]) if each["type"] == "query"]
        chosen = self.chosen(board)
        return {each["name"]: self._values(query_of(each), chosen, each.get("regex", "")) for each in asked}

    def _standing(self, variable: Mapping[str, Any], before: Mapping[str, Chosen]) -> Chosen:
        several = bool(variable.get("multi") or variable.get("includeAll"))
        if picked := self.picked.get(variable["name"]):
            return Chosen([picked], several)
        current = (variable.get("current") or {}).get("value")
        standing = current if isinstance(current, list) else [current] if current else []
        if variable["type"] == "query":
            options = self._values(query_of(variable), before, variable.get("regex", ""))
        else:
            options = [option["value"] for option in variable.get("options", ())]
        if ALL in standing or (not standing and variable.get("includeAll")):
            return Chosen([each for each in options if each != ALL], True, variable.get("allValue") or "")
        return Chosen(standing or options[:1], several)

    def _values(self, query: str, chosen: Mapping[str, Chosen], regex: str = "") -> list[str]:
        """The values of a query variable, sorted."""
        text = interpolate(query, chosen, GIVEN)
        if found := re.fullmatch(r"label_values\((?:(?P<of>.+),)?\s*(?P<label>\w+)\s*\)", text, re.DOTALL):
            given = self._asking.label_values(found["label"], (found["of"] or "").strip())
        elif found := re.fullmatch(r"query_result\((?P<of>.+)\)", text, re.DOTALL):
            given = [_as_text(sample) for sample in self._asking.instant(found["of"])]
        else:
            raise ValueError(f"expected label_values(...) or query_result(...), got {text}")
        return sorted({value for each in given for value in _taken(each, regex)})


def _as_text(sample: Mapping[str, Any]) -> str:
    """A line of query_result."""
    labels = ",".join(f'{name}="{value}"' for name, value in sample["metric"].items() if name != "__name__")
    at, value = sample["value"]
    return f"{sample['metric'].get('__name__', '')}{{{labels}}} {value} {float(at) * 1000:.0f}"


def _taken(value: str, regex: str) -> list[str]:
    """What a variable's regular expression takes of a value: its group `value`, else its first, else all of it."""
    if not regex:
        return [value]
    slashed = re.fullmatch(r"/(.*)/\w*", regex, re.DOTALL)
    found = re.search(re.sub(r"\(\?<(\w+)>", r"(?P<\1>", slashed[1] if slashed else regex), value)
    if found is None:
        return []
    return [found.groupdict().get("value") or (found[1] if found.groups() else found[0])]
