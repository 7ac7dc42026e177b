"""The model of a server that a sweep's points give: its knee, its capacity, and what it refuses to say."""

from typing import Any

import numpy as np
import pytest

from otel_llm.load.study.capacity import model_lines, model_of


def point(loop: str, load: float, answered: float, latency: float, **more: Any) -> dict[str, Any]:
    return {
        "loop": loop, "load": load, "verdict": "ok", "request_throughput": answered,
        "request_latency": {"p50": latency}, "backlog_growth": None, "backlog_growth_ci95": None,
        "throughput_ci95": {"request_throughput": [answered * 0.961, answered * 1.039]}, **more,
    }  # fmt: skip


def mm1(load: float) -> dict[str, Any]:
    """A point of M/M/1 that answers 100/s at most."""
    return point("rate", load, load, np.log(2) / (100 - load))


def overloaded(load: float, answered: float) -> dict[str, Any]:
    growth = load - answered
    ends = [growth - 2, growth + 2]
    return point("rate", load, answered, 9.0, verdict="overload", backlog_growth=growth, backlog_growth_ci95=ends)


def slots(parallel: int, places: int = 8, seconds: float = 0.1, noise: float = 0.0) -> dict[str, Any]:
    """A point of a server that answers so many at once and lets the others wait."""
    answered = min(parallel, places) / seconds * (1 + noise)
    return point("parallel", parallel, answered, parallel / answered)


def test_the_knee_of_a_queue_is_where_theory_has_it() -> None:
    """Latency per throughput of M/M/1, 1 / (load (100 - load)), is least at half of what it can do."""
    model = model_of([mm1(load) for load in (10, 30, 50, 70, 90)])
    assert model is not None
    assert model["knee"] == {"load": 50, "between": [30, 70], "refused": None}


def test_the_capacity_of_an_open_loop_is_what_an_overloaded_server_answers() -> None:
    model = model_of([mm1(50), mm1(90), overloaded(120, 99.0), overloaded(200, 101.0)])
    assert model is not None
    assert model["capacity"]["value"] == pytest.approx(100, abs=0.1)
    low, high = model["capacity"]["ci95"]
    assert 98 < low < 99.5 < 100.5 < high < 102
    assert "capacity 100 answers/s, 95 % between" in "\n".join(model_lines({**model, "phases": None}, "rate"))


def test_the_capacity_of_a_closed_loop_is_found_with_its_interval() -> None:
    """Of 100 servers, whose points scatter by 2 %, the interval holds the truth, and is narrow."""
    held, wide, random = 0, list[float](), np.random.default_rng(1)
    for _ in range(100):
        rows = [slots(parallel, noise=0.02 * random.standard_normal()) for parallel in (1, 2, 4, 6, 8, 12, 16, 24)]
        model = model_of(rows)
        assert model is not None
        low, high = model["capacity"]["ci95"]
        held += low <= 80 <= high
        wide.append(high / low)
    assert held >= 90
    assert np.median(wide) < 1.2


def test_an_engine_that_batches_has_the_capacity_that_its_step_gives() -> None:
    """A step of 10 ms and 1 ms for each of N requests, 32 of them an answer: N / (32 (10 + N)) a millisecond."""
    rows = [point("parallel", n, n / (32 * (0.010 + 0.001 * n)), 32 * (0.010 + 0.001 * n)) for n in (1, 4, 16, 32, 64)]
    model = model_of(rows)
    assert model is not None
    assert model["capacity"]["value"] == pytest.approx(1 / 0.032, rel=0.02)


@pytest.mark.parametrize(
    ("rows", "knee", "capacity"),
    [
        ([mm1(10), mm1(20), mm1(30)], "still fell at the highest", "kept up with all that was asked: it is above 30"),
        ([mm1(60), mm1(70), mm1(90)], "rose from the lowest load on", "kept up"),
        ([slots(1), slots(2), slots(3), slots(4)], "still fell", "throughput still rose"),
        ([slots(1), slots(8)], "three loads", "four points at three loads"),
    ],
)
def test_what_was_not_tried_is_refused(rows: list[dict[str, Any]], knee: str, capacity: str) -> None:
    model = model_of(rows)
    assert model is not None
    assert knee in model["knee"]["refused"]
    assert capacity in model["capacity"]["refused"]
    assert [line[:3] for line in model_lines({**model, "phases": None}, rows[0]["loop"])] == ["no ", "no "]


def test_points_that_the_client_limited_are_left_out() -> None:
    assert model_of([mm1(10), {**mm1(20), "verdict": "void"}]) is None
