"""Which load `--rate auto` and `--parallel auto` try next: from one request alone to past the knee.

Pure, so that a sweep that was stopped goes on the same way. Loads in parallel begin with 1. Rates begin with 1/s and
fall until, by Little's law, less than half a request is in progress. Then loads double: rates until the server does not
keep up, loads in parallel until a doubling brings hardly more answers, both until something fails or this client is the
limit. In the end loads are tried where neighbours are more than twice as far apart, and two beside the knee.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from otel_llm.load.study.capacity import knee_of
from otel_llm.load.study.loads import Loop

__all__ = ["next_load"]

_MOST: Final = 24
_LEAST: Final = 1e-4
_HARDLY: Final = 1.1
"""A doubling of what is in progress that brings less than this many times the answers."""
_ALONE: Final = 0.5
"""As many requests in progress, by the median latency: most of them have the server to themselves."""
_GAP: Final = 2.1
_ENDS: Final = frozenset(("overload", "errors", "void"))


def next_load(loop: Loop, rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the load to try after these points; None when the sweep is past the knee."""
    if not rows:
        return 1.0
    if len(rows) >= _MOST:
        return None
    points = sorted(rows, key=lambda row: row["load"])
    if loop == "rate" and (lower := _lower(points[0])) is not None:
        return lower
    if not _past(loop, points):
        return float(2 * points[-1]["load"])
    return _in_a_gap(points) or _beside_the_knee(loop, points)


def _lower(lowest: Mapping[str, Any]) -> float | None:
    """Return a rate at which a request should be alone; None where it is already, or nothing tells."""
    latency = lowest["request_latency"]["p50"]
    if latency is None or lowest["verdict"] == "overload":  # then latencies say how long the run was
        load = _rounded(lowest["load"] / 4)
    elif (in_progress := lowest["load"] * latency) > _ALONE:
        load = _rounded(lowest["load"] / max(2 * in_progress, 2.0))
    else:
        return None
    return None if load < _LEAST else load


def _past(loop: Loop, points: Sequence[Mapping[str, Any]]) -> bool:
    if points[-1]["verdict"] in _ENDS:
        return True
    if loop == "rate" or len(points) < 2:
        return False
    before, last = (point["request_throughput"] or 0.0 for point in points[-2:])
    return knee_of(points)["refused"] is None and last < _HARDLY * before


def _in_a_gap(points: Sequence[Mapping[str, Any]]) -> float | None:
    """Return a load between neighbours that are far apart, up to the first that the server does not keep up with."""
    pairs = [(a["load"], b["load"]) for a, b in pairwise(points) if a["verdict"] not in _ENDS]
    wide = [(low, high) for low, high in pairs if high > _GAP * low]
    return _rounded(math.sqrt(wide[0][0] * wide[0][1])) if wide else None


def _beside_the_knee(loop: Loop, points: Sequence[Mapping[str, Any]]) -> float | None:
    """Return a load between the knee and a neighbour that is twice as far away; None where both were tried."""
    knee = knee_of([point for point in points if point["verdict"] != "void"])
    if knee["refused"] is not None:
        return None
    for beside in knee["between"]:
        middle = math.sqrt(beside * knee["load"])
        load = float(round(middle)) if loop == "parallel" else _rounded(middle)
        near = abs(math.log(beside / knee["load"])) < math.log(1.7)
        if not near and load not in (beside, knee["load"]):
            return load
    return None


def _rounded(load: float) -> float:
    return float(f"{load:.3g}")
