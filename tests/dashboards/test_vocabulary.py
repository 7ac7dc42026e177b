"""What the queries of the committed boards may name, and where a variable may stand in them."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from otel_llm import conventions
from otel_llm_collector.vocabulary.measures import MEASURES
from otel_llm_collector.vocabulary.prometheus_names import label_name, series_for, series_name
from otel_llm_dashboards.panels.spread import OF_CHUNKS, OF_TOKENS
from tests.dashboards.test_layout import BOARDS, FOLDER, panels

RULES = FOLDER.parent.parent / "collector" / "rules"
RECORDED = {name for file in RULES.glob("*.yaml") for name in re.findall(r"- record: (\S+)", file.read_text())}
TAG = "otel-llm"
SOURCES = {"datasource": "prometheus", "tempo_datasource": "tempo", "jaeger_datasource": "jaeger"}
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
AS_NUMBER = re.compile(
    r"\[\$__(?:rate_interval|range)\]|histogram_quantile\(\$quantile,|bool (?:1 - )?\$quantile|\(\$quantile \*"
)

KNOWN = {
    f"{series_name(instrument, name)}{suffix}"
    for instrument in conventions.INSTRUMENTS.values()
    for name in instrument.names((conventions.V1_41, conventions.LATEST))
    for suffix in (("", "_bucket", "_sum", "_count") if instrument.kind == "histogram" else ("",))
} | {label_name(value) for name, value in vars(conventions).items() if name.isupper() and isinstance(value, str)}

Json = Mapping[str, Any]


def expressions(board: Json) -> Iterator[tuple[str, str]]:
    """Every query of a board, and where it is."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]
    for annotation in board["annotations"].get("list", ()):
        yield annotation["name"], annotation["expr"]


EXPRESSIONS = [
    pytest.param(board, text, id=f"{board}: {where}")
    for board, content in BOARDS.items()
    for where, text in expressions(content)
]


def nested(found: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in a JSON text, and its path."""
    if isinstance(found, dict):
        for key, value in found.items():
            yield from nested(value, f"{path}.{key}")
    elif isinstance(found, list):
        for place, value in enumerate(found):
            yield from nested(value, f"{path}[{place}]")
    else:
        yield path, found


@pytest.mark.parametrize("name", BOARDS)
def test_there_is_no_uid_anywhere(name: str) -> None:
    for path, value in nested(BOARDS[name]):
        if path.lower().endswith("uid"):
            assert value in {f"${{{source}}}" for source in SOURCES}, path
        if isinstance(value, str):
            assert "/d/" not in value, f"{path}: a link to a board by its uid"
    assert not {"id", "uid"} & set(BOARDS[name])


@pytest.mark.parametrize("name", BOARDS)
def test_data_sources_are_chosen_by_variables(name: str) -> None:
    board = BOARDS[name]
    variables = {v["name"]: v for v in board["templating"]["list"] if v["type"] == "datasource"}
    assert {name: variable["query"] for name, variable in variables.items()} == SOURCES
    asked = [*panels(board), *(target for panel in panels(board) for target in panel["targets"])]
    asked += [v for v in board["templating"]["list"] if v["type"] == "query"]
    asked += board["annotations"].get("list", [])
    assert all(item["datasource"] == {"type": "prometheus", "uid": "${datasource}"} for item in asked)


@pytest.mark.parametrize(("board", "text"), EXPRESSIONS)
def test_variables_are_quoted_or_numbers(board: str, text: str) -> None:
    assert "$" not in AS_NUMBER.sub("", QUOTED.sub('""', text))
    known = {variable["name"] for variable in BOARDS[board]["templating"]["list"]}
    used = set(re.findall(r"\$(\w+)", text)) - {"__rate_interval", "__range"}
    assert used <= known


@pytest.mark.parametrize("name", BOARDS)
def test_every_variable_is_used(name: str) -> None:
    board = BOARDS[name]
    everything = json.dumps([board["panels"], board["links"], board["templating"], board["annotations"]])
    for variable in board["templating"]["list"]:
        assert re.search(rf"\$(?:%7B|\{{)?{variable['name']}\b", everything), variable["name"]


@pytest.mark.parametrize(("board", "text"), EXPRESSIONS)
def test_every_recorded_series_is_recorded(board: str, text: str) -> None:
    assert set(re.findall(r"\botel_llm:[\w:]+", text)) <= RECORDED


@pytest.mark.parametrize(("board", "text"), EXPRESSIONS)
def test_every_raw_series_and_label_is_of_the_vocabulary(board: str, text: str) -> None:
    named = set(re.findall(r"(?<![\w:])(?:gen_ai|otel_llm)_\w+", text))
    assert named <= KNOWN


HEATMAPS = {m.title: set(m.sources()) for m in (*MEASURES, *OF_CHUNKS)} | {m.title: set(m.sources()) for m in OF_TOKENS}


@pytest.mark.parametrize("name", BOARDS)
def test_heatmaps_have_exemplars_and_every_source_of_one_kind_of_value(name: str) -> None:
    """Exemplars are those of every series that is named, so that gaps between chunks and tokens stay apart."""
    for panel in panels(BOARDS[name]):
        exemplars = [target for target in panel["targets"] if target.get("exemplar")]
        assert bool(exemplars) == (panel["type"] == "heatmap"), panel["title"]
        for target in exemplars:
            assert target["format"] == "heatmap"
            (sources,) = (found for title, found in HEATMAPS.items() if panel["title"].lower().startswith(title))
            suffix = "_bucket" if "explicit" in panel["title"] else ""
            assert set(re.findall(rf"rate\((\w+?){suffix}{{", target["expr"])) == sources
            if "chunk" not in panel["title"]:
                assert "chunk" not in target["expr"]


def test_both_kinds_of_histogram_are_two_query_sets() -> None:
    for name in ("overview", "runs"):
        kinds = [panel["title"].rsplit(", ")[-1] for panel in panels(BOARDS[name]) if panel["type"] == "heatmap"]
        assert kinds.count("exponential histograms") == kinds.count("explicit histograms") >= 3


@pytest.mark.parametrize("name", BOARDS)
def test_boards_find_each_other_by_their_tag(name: str) -> None:
    assert TAG in BOARDS[name]["tags"]
    (others,) = (link for link in BOARDS[name]["links"] if link["type"] == "dashboards")
    assert others["tags"] == [TAG]
    assert others["keepTime"]
    assert others["includeVars"]


@pytest.mark.parametrize(("kind", "asked"), [("tempo", "traceql"), ("jaeger", "search")])
@pytest.mark.parametrize("name", BOARDS)
def test_links_lead_to_the_stores_of_traces(name: str, kind: str, asked: str) -> None:
    (link,) = (link for link in BOARDS[name]["links"] if kind in link.get("url", ""))
    url = urlsplit(link["url"])
    (pane,) = json.loads(parse_qs(url.query)["panes"][0]).values()
    (query,) = pane["queries"]
    assert url.path == "/explore"
    assert pane["datasource"] == query["datasource"]["uid"] == f"${{{kind}_datasource}}"
    assert pane["range"] == {"from": "${__from}", "to": "${__to}"}
    assert query["queryType"] == asked
    if kind == "tempo":
        assert f"span.{conventions.TIME_TO_FIRST_TOKEN} >" in query["query"]


def test_choices_have_one_name_on_all_boards() -> None:
    labels: dict[str, set[str]] = {}
    for board in BOARDS.values():
        for variable in board["templating"]["list"]:
            labels.setdefault(variable["name"], set()).add(variable["label"])
    assert all(len(found) == 1 for found in labels.values()), labels


def test_runs_are_marked_when_they_begin_and_when_they_end() -> None:
    begins, ends = BOARDS["runs"]["annotations"]["list"]
    info, limited = series_for("run_info"), label_name(conventions.CLIENT_LIMITED)
    assert begins["expr"] == f'timestamp({info}{{{limited}=""}}) * 1000'
    assert ends["expr"] == f'timestamp({info}{{{limited}!=""}}) * 1000'
    assert begins["useValueForTime"] is ends["useValueForTime"] is True
