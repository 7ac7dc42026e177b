"""`otel-llm collector`: files as they are committed, and profiles that align the edges of different engines."""

import json
import shlex
from pathlib import Path

import pytest

from otel_llm.cli import main
from otel_llm_collector.engine_tables.bucket_profiles import ALIGNED_EDGES
from otel_llm_collector.engine_tables.table import EngineTable, engine_tables
from tests import yaml_files

COLLECTOR = Path(__file__).parent.parent.parent / "collector"
BOARDS = Path("compose/grafana/boards")


def test_files_are_those_committed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collector", "--out", str(tmp_path / "kit")]) == 0
    said = capsys.readouterr().out
    written = [file for file in (tmp_path / "kit").rglob("*") if file.is_file()]
    assert said.startswith(f"{len(written)} files in ")
    for file in written:
        name = file.relative_to(tmp_path / "kit")
        board = COLLECTOR.parent / "dashboards" / "grafana" / file.name
        assert file.read_bytes() == (board if name.parent == BOARDS else COLLECTOR / name).read_bytes()
    assert len(list((tmp_path / "kit" / BOARDS).iterdir())) == 5
    assert {"config", "servers", "rules"} <= {file.name for file in (tmp_path / "kit").iterdir()}


def test_alerts_lead_to_runbooks_of_the_kit_or_to_where_they_are_published(tmp_path: Path) -> None:
    def alerts(*words: str) -> list[dict[str, dict[str, str]]]:
        assert main(["collector", "--out", str(tmp_path), *words]) == 0
        (group,) = yaml_files.read(tmp_path / "rules" / "alerts.yaml")["groups"]
        objects = yaml_files.read_all(tmp_path / "kubernetes" / "rules.yaml")
        (same,) = (each["spec"]["groups"] for each in objects if each["metadata"]["name"] == "otel-llm-alerts")
        assert same == [group]
        return list(group["rules"])

    as_they_come = [(alert["annotations"]["runbook_url"], alert["labels"]["severity"]) for alert in alerts()]
    assert all((tmp_path / page).is_file() for page, _ in as_they_come)
    assert {severity for _, severity in as_they_come} == {"page", "ticket"}
    mine = alerts("--runbook-url", "https://wiki.example/llm", "--severities", "critical, warning")
    renamed = {"page": "critical", "ticket": "warning"}
    assert [(alert["annotations"]["runbook_url"], alert["labels"]["severity"]) for alert in mine] == [
        (f"https://wiki.example/llm/{page.removeprefix('runbooks/')}", renamed[severity])
        for page, severity in as_they_come
    ]
    quoted = alerts("--runbook-url", "https://wiki.example/it's", "--severities", "it's,p1: now")
    assert {alert["labels"]["severity"] for alert in quoted} == {"it's", "p1: now"}
    assert all(alert["annotations"]["runbook_url"].startswith("https://wiki.example/it's/") for alert in quoted)


def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["collector", "--out", str(tmp_path / "file" / "kit")]) == 2
    assert "expected --out to be a folder that can be written to, got" in capsys.readouterr().err


def test_neither_package_reads_the_other_by_its_name_in_a_string() -> None:
    for folder, other in ((COLLECTOR, "otel_llm_dashboards"), (COLLECTOR.parent / "dashboards", "otel_llm_collector")):
        modules = list(folder.rglob("*.py"))
        assert modules
        assert [file.name for file in modules if f'"{other}' in file.read_text()] == []


def test_vllm_profile_is_one_option_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collector", "buckets", "--engine", "vllm"]) == 0
    option, value = shlex.split(capsys.readouterr().out)
    assert option == "--custom-histogram-buckets"
    assert json.loads(value)["time_to_first_token"] == list(ALIGNED_EDGES)


def test_vllm_profile_has_the_families_that_vllm_knows(capsys: pytest.CaptureFixture[str]) -> None:
    """It does not start with another key: one family sets the edges of several histograms."""
    assert main(["collector", "buckets", "--engine", "vllm"]) == 0
    _, value = shlex.split(capsys.readouterr().out)
    assert set(json.loads(value)) == {"time_to_first_token", "inter_token_latency", "request_latency"}
    assert all(edges == sorted(set(edges)) and edges[0] > 0 for edges in json.loads(value).values())


@pytest.mark.parametrize("table", [table for table in engine_tables() if table.profile], ids=lambda table: table.name)
def test_aligned_edges_do_not_end_where_answers_are_slow(table: EngineTable) -> None:
    """At the first edge below its own longest, an engine would know less of slow answers than before."""
    for metric in table.metrics:
        assert not metric.buckets or ALIGNED_EDGES[-1] >= 0.8 * table.edges(metric)[-1], metric.name


def test_sglang_profile_is_an_option_per_histogram(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collector", "buckets", "--engine", "sglang"]) == 0
    words = shlex.split(capsys.readouterr().out.replace("\\\n", ""))
    start = words.index("--bucket-time-to-first-token") + 1
    assert tuple(map(float, words[start : start + len(ALIGNED_EDGES)])) == ALIGNED_EDGES


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "expected --out DIR"),
        (["buckets"], "expected --engine NAME"),
        (["--out", "kit", "--severities", "critical"], "expected --severities with two words, got 'critical'"),
        (["buckets", "--engine", "ollama"], f"expected an engine of {', '.join(t.name for t in engine_tables())}, got"),
        (["buckets", "--engine", "tgi"], "expected an engine whose bucket edges can be set freely, got 'tgi'"),
    ],
)
def test_bad_usage_says_what_to_do(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collector", *words]) == 2
    assert said in capsys.readouterr().err
