"""Every expression there is: of panels, variables and annotations of the committed boards, and of the rule files."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tests import yaml_files

ROOT = Path(__file__).parent.parent.parent
GRAFANA, RULES = ROOT / "dashboards" / "grafana", ROOT / "collector" / "rules"
Kind = Literal["range", "instant", "annotation", "variable", "record", "alert"]
Board = Mapping[str, Any]

BOARDS: Mapping[str, Board] = {file.stem: json.loads(file.read_text()) for file in sorted(GRAFANA.glob("*.json"))}


@dataclass(frozen=True, slots=True)
class Expression:
    """One query as it is committed. `id` says where it stands, in words that a table can name it by."""

    id: str
    kind: Kind
    text: str
    board: str = ""  # which one's variables stand in it
    exemplars: bool = False  # whether the panel shows them
    regex: str = ""  # what a variable takes of each answer


def expressions() -> list[Expression]:
    """All of them."""
    found = [each for name, board in BOARDS.items() for each in _of_board(name, board)]
    found += [each for file in sorted(RULES.glob("*.yaml")) for each in _of_rules(file)]
    seen: Counter[str] = Counter()
    for place, each in enumerate(found):
        seen[each.id] += 1
        if seen[each.id] > 1:
            found[place] = replace(each, id=f"{each.id} #{seen[each.id]}")
    return found


def panels(board: Board) -> Iterator[Mapping[str, Any]]:
    """Every panel but rows, also those of rows that are folded."""
    for panel in board["panels"]:
        yield from panel.get("panels", ())
        if panel["type"] != "row":
            yield panel


def variables(board: Board) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = board.get("templating", {}).get("list", [])
    return found


def query_of(variable: Mapping[str, Any]) -> str:
    """The text of a query variable, which Grafana keeps as text or as an object."""
    query = variable["query"]
    return str(query["query"] if isinstance(query, dict) else query)


def _of_board(name: str, board: Board) -> Iterator[Expression]:
    for panel in panels(board):
        for target in panel.get("targets", ()):
            kinds: list[Kind] = [kind for kind in ("range", "instant") if target.get(kind)] or ["range"]
            for kind in kinds:
                yield Expression(
                    f"{name}: {panel['title']} {target['refId']}",
                    kind,
                    target["expr"],
                    name,
                    bool(target.get("exemplar")),
                )
    for variable in variables(board):
        if variable["type"] == "query":
            yield Expression(
                f"{name}: ${variable['name']}", "variable", query_of(variable), name, regex=variable.get("regex", "")
            )
    for annotation in board.get("annotations", {}).get("list", ()):
        if expression := annotation.get("expr") or annotation.get("target", {}).get("expr"):
            yield Expression(f"{name}: annotation {annotation['name']}", "annotation", expression, name)


def _of_rules(file: Path) -> Iterator[Expression]:
    for group in yaml_files.read(file)["groups"]:
        for rule in group["rules"]:
            kind: Kind = "record" if "record" in rule else "alert"
            labels = ",".join(f"{key}={value}" for key, value in rule.get("labels", {}).items() if kind == "record")
            called = rule[kind] + (f"{{{labels}}}" if labels else "")
            yield Expression(f"{file.stem}: {called}", kind, rule["expr"])
