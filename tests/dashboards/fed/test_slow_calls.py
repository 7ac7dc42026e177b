"""The links of the panels find slow calls in a real Jaeger, and no fast ones."""

import json
import statistics
import time
from typing import Any

import pytest

from tests.dashboards.fed.asking import RANGE_S
from tests.dashboards.fed.conftest import Fed
from tests.dashboards.fed.opened import GIVEN, Opened
from tests.dashboards.grafana import interpolate
from tests.dashboards.test_trace_links import queries, shown
from tools.waiting import until

pytestmark = pytest.mark.timeout(480)

WITHIN_S = 30.0
LINKS = sorted({(board, json.dumps(queries(panel)["jaeger"], sort_keys=True)) for board, panel in shown()})
PROMISED = ("time_to_first_token", "inter_token_latency", "time_per_output_token", "request_duration")


@pytest.mark.parametrize(("board", "link"), LINKS)
def test_link_finds_slow_calls_and_no_fast_ones(board: str, link: str, fed: Fed) -> None:
    boards = Opened(fed.asking, fed.opened[0].picked)
    assert until(lambda: boards.chosen(board)["traced"].values, WITHIN_S), "no service has sent spans"
    (service,) = boards.chosen(board)["traced"].values
    every = until(lambda: _found(fed, {"service": service, "minDuration": "0s", "limit": 1000}), WITHIN_S)
    slow_s = statistics.median(map(_longest_s, every))
    boards = Opened(fed.asking, {**boards.picked, **{f"slow_{name}": f"{slow_s:.6f}" for name in PROMISED}})
    filled = interpolate(link, boards.chosen(board), {**GIVEN, "__value": f"{slow_s:.6f}"})
    found = _found(fed, json.loads(filled))
    assert found
    assert all(_longest_s(trace) >= slow_s - 1e-6 for trace in found)
    assert any(_longest_s(trace) < slow_s for trace in every)


def test_promises_are_those_of_the_rules(fed: Fed) -> None:
    chosen = fed.opened[0].chosen("overview")
    assert {name: chosen[f"slow_{name}"].values for name in PROMISED} == dict(
        zip(PROMISED, (["2"], ["0.1"], ["0.1"], ["30"]), strict=True)
    )


def test_load_runs_are_searched_where_the_load_generator_sends_them(fed: Fed) -> None:
    assert fed.opened[0].chosen("runs")["traced"].values == ["otel-llm-perf"]


def _found(fed: Fed, query: dict[str, Any]) -> list[dict[str, Any]]:
    """As Grafana's Jaeger data source asks."""
    now = int(time.time() * 1e6)
    asked = {name: str(query[name]) for name in ("service", "minDuration", "limit")}
    return fed.jaeger.search(**asked, start=str(now - RANGE_S * 1_000_000), end=str(now))


def _longest_s(trace: dict[str, Any]) -> float:
    return float(max(span["duration"] for span in trace["spans"])) / 1e6
