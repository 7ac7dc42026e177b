"""Whoever sees that something is slow is one click away from the traces of what was slow."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from otel_llm import conventions
from tests.dashboards.boards import BOARDS, panels, variables

Panel = Mapping[str, Any]

NOT_OF_CALLS = {"engine: Scrape duration": "how long the Collector's own requests for /metrics took"}
"""Seconds, and yet no call's. The board of the pipeline is about the Collector, and has no calls at all."""


def shown() -> Iterator[tuple[str, Panel]]:
    """The panels that show how calls do, and in which board."""
    for name, board in BOARDS.items():
        for panel in panels(board) if name != "pipeline" else ():
            seconds = panel["type"] == "timeseries" and panel["fieldConfig"]["defaults"]["unit"] == "s"
            if (seconds or panel["type"] in ("stat", "heatmap")) and f"{name}: {panel['title']}" not in NOT_OF_CALLS:
                yield name, panel


SHOWN = [pytest.param(name, panel, id=f"{name}: {panel['title']}") for name, panel in shown()]


def queries(panel: Panel) -> dict[str, dict[str, Any]]:
    """What each link of a panel asks in Explore, by the kind of store."""
    found = {}
    for link in panel["fieldConfig"]["defaults"].get("links", ()):
        url = urlsplit(link["url"])
        (pane,) = json.loads(parse_qs(url.query)["panes"][0]).values()
        (query,) = pane["queries"]
        kind = query["datasource"]["type"]
        assert (url.path, link["targetBlank"], set(link)) == ("/explore", True, {"title", "url", "targetBlank"})
        assert pane["datasource"] == query["datasource"]["uid"] == f"${{{kind}_datasource}}"
        assert pane["range"] == {"from": "${__from}", "to": "${__to}"}
        found[kind] = query
    return found


@pytest.mark.parametrize(("board", "panel"), SHOWN)
def test_panel_leads_to_slow_calls_in_either_store(board: str, panel: Panel) -> None:
    asked = queries(panel)
    assert asked.keys() == {"tempo", "jaeger"}
    slow = r"\$\{(__value\.numeric|slow_\w+)\}"
    assert re.fullmatch(rf"{slow}s", asked["jaeger"]["minDuration"])
    assert re.search(rf"(span\.[\w.]+|duration) >= {slow}", asked["tempo"]["query"])
    known = {each["name"] for each in variables(BOARDS[board])}
    used = set(re.findall(r"\$\{([\w.]+)\}", json.dumps(list(asked.values()))))
    assert used - {"__value.numeric"} <= known


@pytest.mark.parametrize(("board", "panel"), SHOWN)
def test_a_figure_that_is_no_latency_is_no_threshold(board: str, panel: Panel) -> None:
    """What is clicked in a heatmap is a number of values, and in most figures one of requests."""
    if "__value" in json.dumps(queries(panel)):
        assert panel["type"] != "heatmap"
        assert panel["fieldConfig"]["defaults"]["unit"] == "s", board


@pytest.mark.parametrize(
    ("title", "attribute"),
    [
        ("Time to first token", conventions.TIME_TO_FIRST_TOKEN),
        ("Inter-token latency", conventions.ITL_MAX),
        ("Time per output token", conventions.TPOT),
        ("Time to first chunk, explicit histograms", conventions.RESPONSE_TIME_TO_FIRST_CHUNK),
    ],
)
def test_tempo_is_asked_for_the_latency_itself(title: str, attribute: str) -> None:
    (panel,) = (panel for panel in panels(BOARDS["overview"]) if panel["title"] == title)
    assert f"span.{attribute} >= ${{" in queries(panel)["tempo"]["query"]


def test_what_is_listed_is_there() -> None:
    titles = {f"{name}: {panel['title']}" for name, board in BOARDS.items() for panel in panels(board)}
    assert NOT_OF_CALLS.keys() <= titles
    assert len(SHOWN) >= 60
