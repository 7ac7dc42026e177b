"""The boards are what Grafana's own types of 11, 12 and 13 say a dashboard is."""

import copy
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards.boards import BOARDS, Board
from tests.dashboards.typed import errors
from tools import grafana_types
from tools.errors import ToolsError
from tools.grafana_types import GrafanaTypes

pytestmark = pytest.mark.timeout(180)

BUILDERS = "the builders write it for every kind of variable, Grafana reads it for intervals alone"
PROMETHEUS = "of the Prometheus data source, which has no types there"
UNTYPED: Mapping[tuple[str, str], str] = {
    ("variable", "auto"): BUILDERS,
    ("variable", "auto_min"): BUILDERS,
    ("variable", "auto_count"): BUILDERS,
    ("variable", "definition"): "how a query reads in the list of variables: Grafana writes it itself",
    **{
        ("annotation", field): PROMETHEUS
        for field in ("expr", "step", "titleFormat", "textFormat", "tagKeys", "useValueForTime")
    },
}
"""Fields that no type has, of all versions. Everything else has to be as the types say."""
UNKNOWN: Mapping[tuple[str, str, str, object], str] = {
    ("11", "variable", "hide", 3): "11 has no menu to put a variable into, and shows it with the others",
}
"""Values that one version lacks and can do without."""

MAJORS = ("13", "12", "11")


@pytest.fixture(scope="module")
def types() -> GrafanaTypes:
    try:
        return grafana_types.find()
    except ToolsError as error:
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


def schema(types: GrafanaTypes, major: str) -> Path:
    return next(folder for version, folder in types.schemas.items() if version.split(".")[0] == major)


def parts(board: Board) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the tables speak of."""
    yield from (("variable", each) for each in board["templating"]["list"])
    yield from (("annotation", each) for each in board["annotations"]["list"])


def typed(board: Board, major: str) -> dict[str, Any]:
    """The board without what the tables let pass."""
    found = copy.deepcopy(dict(board))
    for kind, part in parts(found):
        for field in [*part]:
            if (kind, field) in UNTYPED or (major, kind, field, _plain(part[field])) in UNKNOWN:
                del part[field]
    return found


def _plain(value: object) -> object:
    return value if isinstance(value, str | int) else None


@pytest.mark.parametrize("major", MAJORS)
def test_boards_are_as_the_types_say(major: str, types: GrafanaTypes, tmp_path: Path) -> None:
    boards = {name: typed(board, major) for name, board in BOARDS.items()}
    assert errors(types, schema(types, major), boards, tmp_path) == []


def test_what_is_let_pass_is_there() -> None:
    there = [(kind, part) for board in BOARDS.values() for kind, part in parts(board)]
    assert UNTYPED.keys() <= {(kind, field) for kind, part in there for field in part}
    for _, kind, field, value in UNKNOWN:
        assert any(part.get(field) == value for of, part in there if of == kind)


def wrong() -> Iterator[tuple[str, dict[str, Any]]]:
    """Boards with one mistake each, and what the compiler has to name."""
    panel = {"type": "timeseries", "title": "A", "gridPos": {"h": 8, "w": 12, "x": 0, "y": 0}}
    options = {"legend": {"displayMode": "list", "placement": "bottom", "calcs": [], "showLegend": True}}
    yield "titel", {"schemaVersion": 41, "titel": "A"}
    yield "crosshair", {"schemaVersion": 41, "graphTooltip": "crosshair"}
    yield "gridPos", {"schemaVersion": 41, "panels": [{**panel, "gridPos": {"h": 8, "w": "12", "x": 0, "y": 0}}]}
    yield "legends", {"schemaVersion": 41, "panels": [{**panel, "options": {"legends": options["legend"]}}]}
    yield (
        "middle",
        {
            "schemaVersion": 41,
            "panels": [{**panel, "options": {"legend": {**options["legend"], "placement": "middle"}}}],
        },
    )
    custom = {"custom": {"lineWidht": 2}}
    yield (
        "lineWidht",
        {"schemaVersion": 41, "panels": [{**panel, "fieldConfig": {"defaults": custom, "overrides": []}}]},
    )


@pytest.mark.parametrize("major", MAJORS)
def test_compiler_sees_what_is_wrong(major: str, types: GrafanaTypes, tmp_path: Path) -> None:
    made = dict(wrong())
    said = errors(types, schema(types, major), made, tmp_path)
    assert len(said) == len(made), "\n".join(said)
    unseen = [name for name in made if name != "gridPos" and not any(name in line for line in said)]
    assert unseen == []
