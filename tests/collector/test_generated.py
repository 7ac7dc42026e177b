"""What is committed is what the tables generate, and the tables name what engines expose."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from otel_llm import conventions
from otel_llm.errors import ConfigError
from otel_llm_collector import generate
from otel_llm_collector.engine_tables.exposition import find_mismatches
from otel_llm_collector.engine_tables.table import EngineTable, engine_tables, find_engine_table, read_file, read_table
from otel_llm_collector.generate import generate_files
from otel_llm_collector.rule_sources.attainment import PROMISES
from otel_llm_collector.rule_sources.catalog import recorded_names
from otel_llm_collector.rule_sources.dimensions import QUANTILES
from otel_llm_collector.rule_sources.grid import all_edges, known_families
from otel_llm_collector.vocabulary import bucket_family
from tests import yaml_files
from tests.collector import fake_engines

ROOT = Path(__file__).parent.parent.parent
GENERATED = generate_files()
BY_HAND = ("collector/rules/slo.yaml",)
BASE = ROOT / "collector" / "config" / "base.yaml"


@pytest.mark.parametrize("name", GENERATED)
def test_committed_file_is_the_generated_one(name: str) -> None:
    assert (ROOT / name).read_text("utf-8") == GENERATED[name], "next step: python -m otel_llm_collector.generate"


def test_no_generated_folder_holds_a_file_that_nothing_generates() -> None:
    for folder in ("collector/config/engines", "collector/rules"):
        files = {file.relative_to(ROOT).as_posix() for file in (ROOT / folder).rglob("*.yaml")}
        assert files <= {*GENERATED, *BY_HAND}


def written_rules(name: str) -> list[dict[str, Any]]:
    found = yaml_files.read(ROOT / "collector" / "rules" / name)
    return [rule for group in found["groups"] for rule in group["rules"]]


def test_names_that_rules_record_are_those_in_the_rule_files() -> None:
    rules = [rule for file in (ROOT / "collector" / "rules").glob("*.yaml") for rule in written_rules(file.name)]
    assert recorded_names() == {rule["record"] for rule in rules if "record" in rule}


def test_what_is_written_by_hand_records_the_promises() -> None:
    assert {rule["record"] for rule in written_rules("slo.yaml")} == set(PROMISES)


@pytest.mark.parametrize("name", ["percentiles.yaml", "union_time_to_first_token.yaml", "runs.yaml"])
def test_every_recorded_percentile_is_one_of_the_list_and_none_is_missing(name: str) -> None:
    recorded: dict[str, list[str]] = {}
    for rule in written_rules(name):
        if "quantile" in rule.get("labels", {}):
            others = sorted(f"{key}={value}" for key, value in rule["labels"].items() if key != "quantile")
            recorded.setdefault(f"{rule['record']} {others}", []).append(rule["labels"]["quantile"])
    assert recorded
    assert all(found == list(QUANTILES) for found in recorded.values()), recorded


@pytest.mark.parametrize("engine", engine_tables(), ids=lambda engine: engine.name)
def test_exposition_has_every_listed_name(engine: EngineTable) -> None:
    page = fake_engines.pages().get(engine.name)
    assert page is not None, f"next step: what {engine.name} exposes, in tests/collector/fake_engines.py"
    assert find_mismatches(engine, page.text()) == []


@pytest.mark.parametrize(
    ("engine", "metric", "first"),
    [
        ("sglang", "sglang:queue_time_seconds", (0, 0.001, 0.005)),
        ("sglang", "sglang:queue_time_seconds", (0, 0.1, 0.2)),
        ("lmdeploy", "lmdeploy:time_per_output_token_seconds", (0.005, 0.01, 0.025)),
        ("lmdeploy", "lmdeploy:time_per_output_token_seconds", (0.01, 0.025, 0.05)),
        ("dynamo", "dynamo_frontend_time_to_first_token_seconds", (0, 0.0022, 0.0047)),
        ("dynamo", "dynamo_frontend_time_to_first_token_seconds", (0.001, 0.0022, 0.0047)),
    ],
)
def test_edges_of_every_listed_version_are_read_in_the_logarithm(
    engine: str, metric: str, first: tuple[float, ...]
) -> None:
    """A family that nobody knows is spread evenly, which reads too high."""
    table = find_engine_table(engine)
    (found,) = (each for each in table.metrics if each.name == metric)
    (edges,) = (each for each in table.edges_by_version(found).values() if each[:3] == first)
    rules = (ROOT / "collector" / "rules").glob("union_*.yaml")
    assert bucket_family.name(edges) in known_families({found.to})
    assert any(bucket_family.name(edges) in file.read_text() for file in rules)


def test_every_edge_of_an_engine_can_be_promised() -> None:
    """An edge whose digits are not those of `le` is found in no bucket, and its promise would be estimated."""
    shown = all_edges()
    for table in engine_tables():
        for metric in table.metrics:
            if metric.buckets and metric.instrument.unit == "s":
                assert {edge for edge in table.edges(metric) if edge > 0} <= set(map(float, shown)), metric.name
    assert len({float(le) for le in shown}) == len(shown)
    assert "0.0656840835571289" in shown


def test_page_with_the_edges_of_an_earlier_version_is_no_mismatch() -> None:
    text = fake_engines.pages()["lmdeploy"].text()
    earlier = "\n".join(
        line for line in text.splitlines() if "per_output_token" not in line or 'le="0.005"' not in line
    )
    assert earlier != text.rstrip()
    assert find_mismatches(find_engine_table("lmdeploy"), earlier) == []


def test_name_that_an_engine_dropped_is_told() -> None:
    text = fake_engines.pages()["vllm"].text().replace("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
    (told,) = find_mismatches(find_engine_table("vllm"), text)
    assert told == "vLLM: expected vllm:kv_cache_usage_perc (gauge), got nothing of that name"


def test_type_and_edges_that_an_engine_changed_are_told() -> None:
    text = fake_engines.pages()["sglang"].text()
    text = text.replace("# TYPE sglang:token_usage gauge", "# TYPE sglang:token_usage counter")
    text = text.replace('is_streaming="true",le="0.1"', 'is_streaming="true",le="0.05"')
    told = find_mismatches(find_engine_table("sglang"), text)
    assert "SGLang: expected sglang:token_usage (gauge), got counter" in told
    assert any("sglang:time_to_first_token_seconds with edges 18.4405e0, got 18." in line for line in told)


@pytest.mark.parametrize(
    ("edges", "json_text"),
    [
        ((0.001, 0.25, 1.0, 2560.0), "[0.001,0.25,1,2560]"),
        ((1e-05, 0.00015, 1e6), "[0.00001,0.00015,1000000]"),
        ((5e-07, 1.0), "[5e-7,1]"),
    ],
)
def test_family_is_a_digest_of_the_edges_as_json(edges: tuple[float, ...], json_text: str) -> None:
    assert json.loads(json_text) == list(edges)
    assert (
        bucket_family.name(edges)
        == f"{len(edges)}.{hashlib.sha1(json_text.encode(), usedforsecurity=False).hexdigest()[:6]}"
    )


def test_base_uses_the_vocabulary() -> None:
    text = BASE.read_text()
    assert bucket_family.STATEMENT in text
    ours = (
        conventions.BUCKET_FAMILY,
        conventions.CACHE_SOURCE,
        conventions.ENGINE,
        conventions.ENGINE_RANK,
        conventions.ENGINE_ROLE,
        conventions.FINISH_REASON,
        conventions.SERIES,
        conventions.TRAFFIC,
        conventions.VANTAGE,
    )
    listed = ", ".join(f'"{name}"' for name in (*sorted(conventions.METRIC_ATTRIBUTES), *ours))
    assert f"keep_keys(datapoint.attributes, [{listed}])" in text
    pattern = listed.replace('"', "").replace(".", "[.]").replace(", ", "|")
    assert f'delete_matching_keys(datapoint.cache["others"], "^({pattern})$$")' in text


def table_text(**changes: str) -> str:
    fields = {
        "name": '"x"', "to": 'to = "server_requests_running"', "type": '"gauge"', "label": '"model"',
        "vantage": '"engine"', "port": "1", "more": "", "buckets": "",
    } | changes  # fmt: skip
    return f"""
name = {fields["name"]}
title = "X"
vantage = {fields["vantage"]}
port = {fields["port"]}
path = "/metrics"
enable = "always"
versions = ["1"]
source = "x"
gives = "load"
[labels]
model_name = {fields["label"]}
[buckets]
{fields["buckets"]}
[[metric]]
name = "x:running"
type = {fields["type"]}
{fields["to"]}
{fields["more"]}
"""


FIRST_TOKEN = {"to": 'to = "server_time_to_first_token"', "type": '"histogram"', "more": 'buckets = "tens"'}


def test_smallest_table_is_read() -> None:
    assert read_table(table_text()).metrics[0].target == "otel_llm.server.requests.running"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"to": ""}, "one of `to`, `cannot`, `passed`, got None"),
        ({"more": "passed = true"}, "one of `to`, `cannot`, `passed`, got 'to, passed'"),
        ({"to": 'to = "server_requests_runing"'}, "INSTRUMENTS .*; did you mean server_requests_running"),
        ({"type": '"histogram"'}, "x:running to be a gauge, as server_requests_running is, got 'histogram'"),
        ({"type": '"gage"'}, "of type histogram, counter, gauge, summary, got 'gage'"),
        ({**FIRST_TOKEN, "more": ""}, "x:running to name its `buckets`; list the edges"),
        ({**FIRST_TOKEN, "buckets": "other = [1, 2]"}, "buckets out of other, got 'tens'"),
        ({**FIRST_TOKEN, "buckets": "tens = [2, 1]"}, "edges tens in rising order"),
        ({"more": 'unit = "msec"'}, "unit out of s, ms"),
        ({"more": '[[metric]]\nname = "x:running"\ntype = "gauge"\npassed = true'}, "each metric once"),
        ({"vantage": '"server"'}, "vantage out of engine, frontend, gateway, device, got 'server'"),
        ({"port": '"80"'}, "port as a number of 1 to 65535, got '80'"),
        ({"label": '"user"'}, "labels to become one of"),
        ({"name": ""}, "to be an engine table"),
    ],
)
def test_table_that_means_nothing_is_refused(changes: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_table(table_text(**changes))


def test_a_table_bears_the_name_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(table_text(name='"other"'))
    with pytest.raises(
        ConfigError, match=r"^expected tiny.toml: the file's name as `name`, got 'other'; name = \"tiny\"$"
    ):
        read_file(tmp_path / "tiny.toml")


def test_a_table_that_cannot_be_used_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise ConfigError("x.toml: port as a number of 1 to 65535", "80")

    monkeypatch.setattr(generate, "generate_files", refuse)
    assert generate.main() == 2
    assert capsys.readouterr().err == "expected x.toml: port as a number of 1 to 65535, got '80'\n"
