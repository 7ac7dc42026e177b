"""How the committed boards are laid out and described, since no Grafana is there to look at them in."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent.parent / "dashboards" / "grafana"
BOARDS: dict[str, Any] = {file.stem: json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))}
COLUMNS, NARROWEST = 24, 6

Json = Mapping[str, Any]


def panels(board: Json) -> Iterator[Json]:
    """Every panel but the headings of rows, folded ones too."""
    for panel in board["panels"]:
        yield from panel["panels"] if panel["type"] == "row" else (panel,)


PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}") for name, board in BOARDS.items() for panel in panels(board)
]


def regions(board: Json) -> list[Sequence[Json]]:
    """What stands in one grid together: what is seen when all rows are closed, and the inside of each closed row."""
    return [board["panels"], *(panel["panels"] for panel in board["panels"] if panel["type"] == "row")]


@pytest.mark.parametrize("name", BOARDS)
def test_panels_fit_the_grid_and_do_not_overlap(name: str) -> None:
    for region in regions(BOARDS[name]):
        taken: dict[tuple[int, int], str] = {}
        for panel in region:
            place = panel["gridPos"]
            assert place["x"] >= 0
            assert place["x"] + place["w"] <= COLUMNS, panel["title"]
            for cell in itertools.product(
                range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
            ):
                assert cell not in taken, f"{panel['title']} lies on {taken.get(cell)}"
                taken[cell] = panel["title"]


@pytest.mark.parametrize("panel", PANELS)
def test_panel_is_wide_enough_to_be_read_at_1280_pixels(panel: Json) -> None:
    narrowest = 3 if panel["type"] == "stat" else NARROWEST
    assert panel["gridPos"]["w"] >= narrowest
    assert panel["gridPos"]["h"] >= (4 if panel["type"] == "stat" else 8)


@pytest.mark.parametrize("name", BOARDS)
def test_everything_is_in_a_row_that_folds(name: str) -> None:
    board = BOARDS[name]
    assert board["panels"][0]["type"] == "row"
    rows = [panel for panel in board["panels"] if panel["type"] == "row"]
    assert len(rows) >= 5
    assert len({row["title"] for row in rows}) == len(rows)
    for row in rows:
        assert row["gridPos"] == {"x": 0, "y": row["gridPos"]["y"], "w": COLUMNS, "h": 1}
        assert bool(row["panels"]) == row["collapsed"], row["title"]
    assert not rows[0]["collapsed"], "what the board is for is seen at once"


@pytest.mark.parametrize("name", BOARDS)
def test_rows_follow_each_other_without_a_gap(name: str) -> None:
    lowest = 0
    for panel in BOARDS[name]["panels"]:
        if panel["type"] == "row":
            assert panel["gridPos"]["y"] == lowest, panel["title"]
        lowest = max(lowest, panel["gridPos"]["y"] + panel["gridPos"]["h"])


@pytest.mark.parametrize("name", BOARDS)
def test_numbers_and_titles_of_panels_are_their_own(name: str) -> None:
    board = BOARDS[name]
    every = [*board["panels"], *(inner for row in board["panels"] for inner in row.get("panels", ()))]
    assert len({panel["id"] for panel in every}) == len(every)
    titles = [panel["title"] for panel in panels(board)]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("panel", PANELS)
def test_panel_says_what_it_measures_and_in_which_unit(panel: Json) -> None:
    assert len(panel["description"]) >= 40
    assert panel["description"].endswith((".", "?"))
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"].get("thresholds", {"steps": [0]})["steps"]


@pytest.mark.parametrize("panel", PANELS)
def test_panel_has_a_legend(panel: Json) -> None:
    legend = panel["options"].get("legend", {})
    if panel["type"] == "heatmap":
        assert legend["show"]
    elif panel["type"] in {"timeseries", "state-timeline"}:
        assert legend["showLegend"]
        assert legend["placement"] == "bottom", "at the side it would take half of a narrow panel"
        assert all(target["legendFormat"] for target in panel["targets"])
    elif panel["type"] == "stat":
        several = len(panel["targets"]) > 1
        assert not several or all(target["legendFormat"] for target in panel["targets"])
    else:
        assert panel["type"] == "table"
        (renamed,) = (made["options"] for made in panel["transformations"] if made["id"] == "organize")
        assert all(renamed["renameByName"].values())


@pytest.mark.parametrize("name", BOARDS)
def test_board_is_of_a_schema_that_grafana_11_to_13_read(name: str) -> None:
    board = BOARDS[name]
    assert board["schemaVersion"] <= 41
    assert board["description"]
    assert not board["editable"]
    assert board["time"]["to"] == "now"
    above = [*board["links"], *board["annotations"].get("list", ())]
    assert all("placement" not in item for item in above), "Grafana 11 has no menu that they could be in"


@pytest.mark.parametrize("panel", PANELS)
def test_a_mean_is_called_a_mean(panel: Json) -> None:
    texts = " ".join(target["expr"] for target in panel["targets"])
    mean_only = ":mean5m" in texts or "_time_seconds_total" in texts
    assert mean_only == panel["title"].endswith("(mean)")
    if mean_only:
        assert "never a percentile" in panel["description"]
