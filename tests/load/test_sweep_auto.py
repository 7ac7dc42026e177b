"""`--rate auto` and `--parallel auto`: loads from one request alone to past the knee, by what was found so far."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otel_llm.load.study.auto import next_load
from otel_llm.load.study.capacity import model_of
from otel_llm.load.study.loads import Loop
from tests.load.test_capacity import mm1, overloaded, point, slots
from tests.load.test_perf import chat
from tests.load.test_sweep import points, sweep
from tests.truthserver.process import TruthServer

Ask = Callable[[float], dict[str, Any]]


def swept(loop: Loop, ask: Ask) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while (load := next_load(loop, rows)) is not None:
        rows.append(ask(load))
    return rows


def queue(capacity: float) -> Ask:
    """M/M/1 that answers so many per second."""
    scale = capacity / 100

    def ask(load: float) -> dict[str, Any]:
        row = mm1(load / scale) if load < capacity else overloaded(load / scale, 100.0)
        growth = row["backlog_growth"]
        return {
            **row,
            "load": load,
            "request_throughput": row["request_throughput"] * scale,
            "request_latency": {"p50": row["request_latency"]["p50"] / scale},
            "backlog_growth": None if growth is None else growth * scale,
            "backlog_growth_ci95": None if growth is None else [(growth - 1) * scale, (growth + 1) * scale],
        }

    return ask


@pytest.mark.parametrize("capacity", [0.02, 0.5, 40, 3000])
def test_rates_go_from_one_request_alone_to_an_overloaded_server(capacity: float) -> None:
    rows = swept("rate", queue(capacity))
    loads = [row["load"] for row in rows]
    assert min(loads) * np.log(2) / capacity < 1
    assert capacity <= max(loads) < max(2 * capacity, 1.01)  # the first is 1/s
    assert len(set(loads)) == len(loads) <= 20
    model = model_of(rows)
    assert model is not None
    low, high = model["knee"]["between"]
    assert low <= capacity / 2 <= high
    assert high < 3.9 * low
    assert model["capacity"]["value"] == pytest.approx(capacity, rel=0.01)


def test_loads_in_parallel_double_until_more_of_them_bring_nothing() -> None:
    rows = swept("parallel", lambda load: slots(int(load)))
    assert [row["load"] for row in rows] == [1, 2, 4, 8, 16, 6, 11]
    model = model_of(rows)
    assert model is not None
    assert model["knee"]["load"] == 8
    assert model["capacity"]["value"] == pytest.approx(80, rel=0.01)


@pytest.mark.parametrize("verdict", ["errors", "void"])
def test_what_fails_and_a_client_that_is_the_limit_end_it(verdict: str) -> None:
    def ask(load: float) -> dict[str, Any]:
        return {**slots(int(load), places=64), "verdict": verdict if load > 4 else "ok"}

    assert [row["load"] for row in swept("parallel", ask)] == [1, 2, 4, 8]


def test_a_server_that_answers_nothing_ends_it() -> None:
    nothing = point("rate", 1, 0.0, 0.0, verdict="errors", request_latency={"p50": None})
    rows = swept("rate", lambda load: {**nothing, "load": load})
    assert 2 < len(rows) < 12


def test_a_sweep_finds_its_loads_and_started_again_runs_nothing(truth: TruthServer, tmp_path: Path) -> None:
    """Where it ends depends on this machine, as it may be the limit itself."""
    words = [*chat(truth, "ttft_ms=5;itl_ms=1;tokens=4"), "--parallel", "auto", "-n", "4"]
    code, out, err = sweep(tmp_path, *words)
    assert code == 0, err
    loads = [row["load"] for row in points(tmp_path)]
    assert loads[0] == 1
    assert "the same command goes on" not in out
    sent = truth.stats()["requests"]
    assert sweep(tmp_path, *words)[:2] == (0, out)
    assert truth.stats()["requests"] == sent
