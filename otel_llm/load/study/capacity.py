"""A simple model of a server, from the points of a sweep: where its knee is, and the most that it can answer.

The knee is the load at which latency per throughput is least (Kleinrock's power, turned over): below it, with more load
answers are hardly later; above it, they are later by more than there are more of them. It is known to lie between the
loads that were tried next to it.

In an open loop, a server whose backlog grows answers what it can: capacity is the mean of what such points answered, by
their own intervals. In a closed loop of N requests in progress, by Little's law, a request stays for N / X seconds, X
answered per second. Up to some N that is constant or grows slowly, then by 1 / capacity for each more: a line with a
bend is fitted to it. Neither is told beyond what was tried: a server that was never near its limit has no capacity yet.
"""

import math
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

import numpy as np

from otel_llm.load.study.loads import Load, Loop
from otel_llm.load.study.phases import phases_lines
from otel_llm.measures import Floats

__all__ = ["knee_of", "model_lines", "model_of"]

_Z: Final = 1.96
_REACHED: Final = 0.8
"""Of the fitted capacity: less was never answered at any point, and it would be extrapolated."""
_FEWEST: Final = 4
_DOUBT: Final = 0.01
"""The least relative error of a point: servers are not steadier than that from run to run."""


def model_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return `knee` and `capacity` of the points of a sweep; each has `refused`, and why, where there is none.

    knee: `load`, and `between` which loads it is known to lie; capacity: answers per second and its `ci95`
    None where fewer than two loads say anything of the server.
    """
    judged = [row for row in rows if row["verdict"] != "void" and row["request_throughput"]]
    if len({row["load"] for row in judged}) < 2:
        return None
    capacity = _of_open_loop(judged) if judged[0]["loop"] == "rate" else _of_closed_loop(judged)
    return {"knee": knee_of(judged), "capacity": capacity}


def model_lines(model: Mapping[str, Any], loop: Loop) -> list[str]:
    """Return the model in words, a line each. model: as `model_of` has it, and `phases` (study.phases) or None"""
    return [*_limits_lines(model["knee"], model["capacity"], loop), *phases_lines(model["phases"], loop)]


def _limits_lines(knee: Mapping[str, Any], capacity: Mapping[str, Any], loop: Loop) -> list[str]:
    lines = [f"no knee: {knee['refused']}"]
    if knee["refused"] is None:
        low, high = knee["between"]
        lines = [f"knee at {Load(loop, knee['load'])}, between {low:g} and {high:g}: least latency per throughput"]
    if capacity["refused"] is not None:
        return [*lines, f"no capacity: {capacity['refused']}"]
    low, high = capacity["ci95"]
    return [*lines, f"capacity {capacity['value']:.3g} answers/s, 95 % between {low:.3g} and {high:.3g}"]


def knee_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the `knee` of a model, of points that all say something of the server."""
    loads, costs = _by_load(rows)
    if len(loads) < 3:
        return _refused("at least three loads with latencies are needed")
    at = int(np.argmin(costs))
    if at == 0:
        return _refused("latency per throughput rose from the lowest load on: try lower ones")
    if at == len(loads) - 1:
        return _refused("latency per throughput still fell at the highest load: try higher ones")
    return {"load": loads[at], "between": [loads[at - 1], loads[at + 1]], "refused": None}


def _by_load(rows: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    """Return the loads, ascending, and the median latency per throughput at each."""
    found: dict[float, list[float]] = {}
    for row in rows:
        if (latency := row["request_latency"]["p50"]) is not None and row["request_throughput"]:
            found.setdefault(row["load"], []).append(latency / row["request_throughput"])
    loads = sorted(found)
    return loads, [float(np.median(found[load])) for load in loads]


def _of_open_loop(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    grew = [row for row in rows if row["verdict"] == "overload"]
    if not grew:
        return _refused(f"the server kept up with all that was asked: it is above {_most(rows):.3g} answers/s")
    answered = np.array([row["load"] - row["backlog_growth"] for row in grew])
    reach = np.array([(high - low) / 2 for low, high in (row["backlog_growth_ci95"] for row in grew)])
    weights = 1 / np.maximum(reach / _Z, _DOUBT * answered) ** 2
    mean = float(np.average(answered, weights=weights))
    spread = _scale(float((weights * (answered - mean) ** 2).sum()), len(grew) - 1) / math.sqrt(weights.sum())
    return _capacity(mean, mean - _Z * spread, mean + _Z * spread)


def _of_closed_loop(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    parallel = np.array([row["load"] for row in rows])
    if len(rows) < _FEWEST or len(set(parallel.tolist())) < _FEWEST - 1:
        return _refused("at least four points at three loads are needed")
    stays = parallel / np.array([row["request_throughput"] for row in rows])
    weights = 1 / (stays * np.array([_error(row) for row in rows])) ** 2
    bends = np.geomspace(parallel.min(), np.unique(parallel)[-2], 60)
    _, slope, error = min((_bent_line(parallel, stays, weights, bend) for bend in bends), key=itemgetter(0))
    if slope - _Z * error <= 0 or _most(rows) < _REACHED / slope:
        return _refused(f"throughput still rose at the highest load: it is above {_most(rows):.3g} answers/s")
    return _capacity(1 / slope, 1 / (slope + _Z * error), 1 / (slope - _Z * error))


def _bent_line(x: Floats, y: Floats, weights: Floats, bend: float) -> tuple[float, float, float]:
    """Return how badly a line fits that is level up to the bend, its slope beyond, and the standard error of that."""
    columns = np.stack([np.ones_like(x), np.maximum(x - bend, 0)], axis=1)
    weighted = columns * weights[:, None]
    level, slope = np.linalg.solve(columns.T @ weighted, weighted.T @ y)
    misfit = float((weights * (y - level - slope * columns[:, 1]) ** 2).sum())
    freely = np.column_stack([columns, np.where(x > bend, -slope, 0.0)])  # the bend is not known either
    spread = np.linalg.pinv(freely.T @ (freely * weights[:, None]))
    return misfit, float(slope), _scale(misfit, len(x) - 3) * math.sqrt(spread[1, 1])


def _scale(misfit: float, free: int) -> float:
    """Return by how much points scatter more than their own errors say, at least 1."""
    return math.sqrt(max(misfit / free, 1.0)) if free > 0 else 1.0


def _error(row: Mapping[str, Any]) -> float:
    """Return the relative standard error of a point's throughput."""
    low, high = row["throughput_ci95"].get("request_throughput") or (None, None)
    found = 0.0 if low is None or high is None else (high - low) / (2 * _Z * row["request_throughput"])
    return max(found, _DOUBT)


def _most(rows: Sequence[Mapping[str, Any]]) -> float:
    return float(max(row["request_throughput"] for row in rows))


def _capacity(value: float, low: float, high: float) -> dict[str, Any]:
    return {"value": value, "ci95": [low, high], "refused": None}


def _refused(why: str) -> dict[str, Any]:
    return {"refused": why}
