"""What is committed is what the boards' modules make, and they name only what there is."""

import json
import re
from pathlib import Path

import pytest

from otel_llm.errors import ConfigError
from otel_llm_collector.rule_sources.dimensions import QUANTILES
from otel_llm_collector.vocabulary.measures import WAITED_FOR, Measure
from otel_llm_dashboards import generate
from otel_llm_dashboards.generate import generate_boards, main
from otel_llm_dashboards.queries.recorded import recorded_series

FOLDER = Path(__file__).parent.parent.parent / "dashboards" / "grafana"
GENERATED = generate_boards()


@pytest.mark.parametrize("name", GENERATED)
def test_committed_board_is_the_generated_one(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == GENERATED[name], "next step: python -m otel_llm_dashboards.generate"


def test_the_folder_holds_these_five_and_no_other_board() -> None:
    assert set(GENERATED) == {f"{name}.json" for name in ("overview", "engine", "runs", "slo", "pipeline")}
    assert {file.name for file in FOLDER.glob("*.json")} == set(GENERATED)


def test_boards_offer_every_recorded_percentile_and_show_p99_first() -> None:
    board = json.loads(GENERATED["overview.json"])
    (choice,) = (variable for variable in board["templating"]["list"] if variable["name"] == "quantile")
    assert [option["value"] for option in choice["options"]] == list(reversed(QUANTILES))
    assert choice["current"]["value"] == "0.99"
    assert [option["value"] for option in choice["options"] if option["selected"]] == ["0.99"]


@pytest.mark.parametrize("measure", WAITED_FOR, ids=lambda measure: measure.name)
def test_graph_of_a_measure_has_every_recorded_percentile_but_p95(measure: Measure) -> None:
    board = json.loads(GENERATED["overview.json"])
    (panel,) = (panel for panel in board["panels"] if panel["title"] == measure.heading)
    drawn = re.findall(r"histogram_quantile\(([\d.]+),", "\n".join(target["expr"] for target in panel["targets"]))
    assert set(drawn) == set(QUANTILES) - {"0.95"}


def test_check_says_which_differ_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"]) == 0
    monkeypatch.setattr(generate, "_FOLDER", tmp_path)
    for name, text in GENERATED.items():
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "slo.json").write_text("{}")
    assert main(["--check"]) == 1
    assert capsys.readouterr().out == "dashboards/grafana/slo.json\n"
    assert (tmp_path / "slo.json").read_text() == "{}"
    assert main([]) == 0
    assert main(["--check"]) == 0


def test_bad_words_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--chekc"]) == 2
    assert capsys.readouterr().err.startswith("expected --check or nothing")


def test_series_that_nothing_records_cannot_be_asked_for() -> None:
    assert recorded_series("kv_cache:max") == "otel_llm:kv_cache:max"
    with pytest.raises(ConfigError, match="expected a series that collector/rules records"):
        recorded_series("kv_cache:maximum")
