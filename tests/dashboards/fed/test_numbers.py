"""What the boards show is what was measured, whoever measured it."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.dashboards.boards import expressions
from tests.dashboards.fed.conftest import Fed
from tests.dashboards.fed.feeding import APPLICATIONS, Application
from tests.dashboards.fed.opened import Opened
from tests.dashboards.fed.senders import EMBEDDER
from tools.waiting import until

pytestmark = pytest.mark.timeout(480)

BY_ID = {each.id: each for each in expressions()}
WITHIN_S = 30.0
BUCKET = 0.1
"""Of 160 buckets that reach from microseconds to seconds, one is this wide."""

LATENCIES = ("Time to first token", "Inter-token latency", "Request duration")
QUANTILES = {"0.5": "p50", "0.9": "p90", "0.95": "p95", "0.99": "p99"}


def by(labels: str, samples: list[dict[str, Any]]) -> dict[str, float]:
    """Values by those of their labels, in words."""
    return {" ".join(each["metric"][label] for label in labels.split()): float(each["value"][1]) for each in samples}


@pytest.mark.parametrize("name", ["steady", "burst", "closed"])
def test_row_of_a_run_is_its_report(name: str, fed: Fed) -> None:
    report = fed.reports[name]

    def cell(column: str) -> float:
        asked = fed.opened[0].filled(BY_ID[f"runs: Runs {column}"])
        found = until(lambda: [row for row in fed.asking.instant(asked) if _is_of(row, report)], WITHIN_S)
        return float(found[0]["value"][1])

    asked = report["requests"]["succeeded"] + report["requests"]["failed"]
    assert until(lambda: (cell("B"), cell("C")) == (asked, 0), WITHIN_S)  # the run's last export may be under way
    if slo := report["slo"]:
        assert cell("I") == pytest.approx(slo["good_requests"] / asked)
    if name != "burst":  # its histograms are explicit: as exact as their edges
        assert cell("D") == pytest.approx(report["measures"]["time_to_first_token"]["p50"], rel=BUCKET)
        assert cell("F") == pytest.approx(report["measures"]["inter_token_latency"]["p50"], rel=BUCKET)


def test_runs_side_by_side_differ_by_what_they_differ(fed: Fed) -> None:
    boards = Opened(fed.asking, {"run": fed.id_of("closed"), "baseline": fed.id_of("steady")})
    asked = [boards.filled(BY_ID[f"runs: Percentiles of run A and run B {column}"]) for column in "ABCD"]
    a: dict[str, float] = {}

    def differ_by_what_they_differ() -> bool:
        """Asked one after the other, so that what is recorded between two of them is in one and not in the other."""
        nonlocal a
        a, b, difference, ratio = (by("measure quantile", fed.asking.instant(text)) for text in asked)
        assert a.keys() == b.keys() == difference.keys() == ratio.keys()
        assert len(a) == 4 * len(QUANTILES)
        return difference == pytest.approx({row: a[row] - b[row] for row in a}) and ratio == pytest.approx(
            {row: a[row] / b[row] - 1 for row in a}
        )

    assert until(differ_by_what_they_differ, WITHIN_S)
    first = fed.reports["closed"]["measures"]["time_to_first_token"]
    assert a["time to first token 0.5"] == pytest.approx(first["p50"], rel=BUCKET)


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("application", APPLICATIONS, ids=lambda each: each.service)
def test_measures_of_any_application_are_on_the_overview(application: Application, latency: str, fed: Fed) -> None:
    """Also of the one that knows nothing of ours: panels read the convention's own names where ours are not."""
    alone = Opened(fed.asking, {"job": application.service, "model": application.model})
    for panel in (f"overview: {latency} A", f"overview: {latency} by model A", f"overview: {latency} by provider"):
        asked = [each for name, each in BY_ID.items() if name == panel or name in (f"{panel} A", f"{panel} B")]
        assert asked, panel
        assert until(lambda asked=asked: any(alone.has_data(each) for each in asked), WITHIN_S), panel


EMBEDDING_PANELS = ("Requests per second", "Request duration", "Tokens per second, counted by clients")


@pytest.mark.parametrize("panel", EMBEDDING_PANELS)
@pytest.mark.parametrize("service", ["next-app", "foreign-app"])
def test_embeddings_are_on_the_overview_by_the_names_of_either_generation(service: str, panel: str, fed: Fed) -> None:
    alone = Opened(fed.asking, {"job": service, "model": EMBEDDER})
    assert until(lambda: alone.has_data(BY_ID[f"overview: {panel} A"]), WITHIN_S)


def test_foreign_application_sends_nothing_of_ours(fed: Fed) -> None:
    names = {each["metric"]["__name__"] for each in fed.asking.instant('{job="foreign-app"}')}
    sent = {name for name in names if not name.startswith(("otel_llm:", "traces_", "target_info"))}
    assert "gen_ai_client_operation_time_to_first_chunk_seconds_count" in sent
    assert not {name for name in sent if name.startswith("otel_llm")}


def test_errors_of_applications_are_told_by_kind(fed: Fed) -> None:
    found = fed.asking.instant(fed.opened[0].filled(BY_ID["overview: Errors by kind A"]))
    kinds = {each["metric"]["error_type"].rpartition(".")[2] for each in found}
    assert {"TimeoutError", "InternalServerError"} <= kinds


@pytest.mark.parametrize(
    ("panel", "label"),
    [("overview: Requests per second A", "job"), ("slo: Time to first token within its threshold A", "job")],
)
def test_load_runs_are_among_users_only_if_somebody_asks_for_them(panel: str, label: str, fed: Fed) -> None:
    def jobs(opened: Opened) -> set[str]:
        return {each["metric"][label] for each in fed.asking.range(opened.filled(BY_ID[panel]))}

    as_they_come, with_runs = fed.opened
    assert until(lambda: {"otel-llm-perf", "decorated-app"} <= jobs(with_runs), WITHIN_S)
    assert "decorated-app" in jobs(as_they_come)
    assert "otel-llm-perf" not in jobs(as_they_come)


def test_load_runs_fire_no_alert(fed: Fed) -> None:
    """The run `steady` misses its own promise, and `burst` a larger one."""
    assert fed.asking.instant('otel_llm:time_to_first_token:slow_ratio{job="otel-llm-perf"}')
    assert fed.asking.instant('ALERTS{job="otel-llm-perf"}') == []


def _is_of(row: Mapping[str, Any], report: Mapping[str, Any]) -> bool:
    return bool(row["metric"].get("otel_llm_run_id") == report["run"]["id"])
