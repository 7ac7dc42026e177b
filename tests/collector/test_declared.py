"""Every metric that a release declares has one fate, and none is said of what it does not declare."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from otel_llm_collector.engine_tables.declared import Declared, declared_metrics, fate
from otel_llm_collector.engine_tables.reading import samples_of
from otel_llm_collector.engine_tables.table import engine_tables

COLLECTOR = Path(__file__).parent.parent.parent / "collector"
PAGES = Path(__file__).parent.parent / "server" / "pages"
ALL = list(declared_metrics())
NEWER_THAN_VLLM = (
    "mooncake_num_failed_recvs_total",
    "mooncake_num_failed_transfers_total",
    "mooncake_num_kv_expired_reqs_total",
    "mooncake_xfer_time_seconds",
)
NOT_DECLARED = {
    "vllm": {
        "http_requests_total": "made by the library that counts its web server's answers",
        **dict.fromkeys((f"vllm:{name}" for name in NEWER_THAN_VLLM), "newer than this release"),
    },
    "ray_serve": dict.fromkeys((f"ray_vllm_{name}" for name in NEWER_THAN_VLLM), "newer than this release"),
    "dcgm": {"DCGM_FI_DEV_FB_TOTAL": "a field that its default file does not name"},
    "litellm": {"litellm_in_flight_requests": "made by the proxy itself, not by its callback"},
}
"""What a table lists and the release's list lacks, and why."""


def test_every_table_has_a_list_and_every_list_a_table() -> None:
    files = {file.stem for file in (COLLECTOR / "declared").glob("*.toml")}
    next_step = "next step: collector/declared/NAME.toml for each, then python -m otel_llm_collector.generate"
    assert files == {table.name for table in engine_tables()} == {each.table.name for each in ALL}, next_step


@pytest.mark.parametrize("declared", ALL, ids=lambda each: each.table.name)
def test_each_metric_is_mapped_passed_on_or_left_out_for_one_reason(declared: Declared) -> None:
    listed = {metric.name for metric in declared.table.metrics}
    assert len(set(declared.names)) == len(declared.names)
    reasons = {name: declared.reasons(name) for name in declared.names}
    assert {name: why for name, why in reasons.items() if len(why) != (name not in listed)} == {}
    assert all(fate(declared, name) for name in declared.names)


@pytest.mark.parametrize("declared", ALL, ids=lambda each: each.table.name)
def test_no_reason_is_stale(declared: Declared) -> None:
    patterns = [pattern for each in declared.left_out.values() for pattern in each]
    assert [each for each in patterns if not any(fnmatchcase(name, each) for name in declared.names)] == []


@pytest.mark.parametrize("declared", ALL, ids=lambda each: each.table.name)
def test_what_a_table_lists_is_declared(declared: Declared) -> None:
    listed = {metric.name for metric in declared.table.metrics}
    assert listed - set(declared.names) == NOT_DECLARED.get(declared.table.name, {}).keys()


@pytest.mark.parametrize("declared", ALL, ids=lambda each: each.table.name)
def test_no_table_says_that_a_release_is_too_old_for_what_it_declares(declared: Declared) -> None:
    since = {metric.name: re.match(r"([\d.]+) and newer", metric.optional) for metric in declared.table.metrics}
    version = _number(declared.version)
    assert [name for name in declared.names if (told := since.get(name)) and _number(told[1]) > version] == []


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def test_a_real_page_has_nothing_that_is_not_declared() -> None:
    (vllm,) = (each for each in ALL if each.table.name == "vllm")
    shown = {sample.name for sample in samples_of((PAGES / f"vllm_{vllm.version}.txt").read_text())}
    known = {*vllm.names, *NOT_DECLARED["vllm"]}
    suffixes = ("", "_bucket", "_sum", "_count")
    parts = {f"{name}{suffix}" for name in known for suffix in suffixes}
    assert {name for name in shown if not name.endswith("_created")} <= parts
