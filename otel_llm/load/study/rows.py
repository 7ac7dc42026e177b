"""A point of a study in figures: what its run's report says of load, latency, goodput, server and client."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from otel_llm.load.study.loads import Load
from otel_llm.load.study.point import Point

__all__ = ["COLOURS", "VERDICTS", "limited_at", "limits_shown", "reasons_of", "row_of", "verdict_of_run"]

_TOLERATED: Final = 0.01

VERDICTS: Final[Mapping[str, str]] = {
    "ok": "nothing below holds",
    "missed": "the SLO was missed",
    "errors": "more than 1 % of the requests failed",
    "overload": "the server did not keep up: its backlog grew all the time, so latencies say how long the run was",
    "void": "this client was the limit: the point says nothing of the server",
}
"""What a point came to, the weakest first: a point has the last of those that hold."""
COLOURS: Final = {"ok": "green", "missed": "red", "errors": "red", "overload": "bold red", "void": "yellow"}
"""Of each of them, in a terminal."""


def row_of(point: Point, report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a point; times in seconds, from the intended moment in an open loop; None for none."""
    requests, measures = report["requests"], report["measures"]
    first, latency = (_asked(measures, name) for name in ("time_to_first_token", "request_latency"))
    overload = report["load"]["overload"]
    ended = requests["succeeded"] + requests["failed"]
    return {
        "number": point.number,
        "loop": point.loop,
        "load": point.load,
        "repeat": point.repeat,
        "run_id": report["run"]["id"],
        "verdict": verdict_of_run(report),
        "requests": requests["sent"],
        "duration": report["duration"],
        "error_rate": requests["failed"] / ended if ended else None,
        "asked": report["load"]["asked"],
        "achieved": report["load"]["achieved"],
        "request_throughput": report["request_throughput"],
        "output_token_throughput": report["output_token_throughput"],
        "throughput_ci95": report["throughput_ci95"],
        "time_to_first_token": _percentiles(first),
        "inter_token_latency": _percentiles(measures["inter_token_latency"]),
        "request_latency": _percentiles(latency),
        "backlog_growth": overload and overload["growth"],
        "backlog_growth_ci95": overload and overload["ci95"],
        "goodput": report["slo"] and report["slo"]["goodput"],
        "slo_met": report["slo"] and report["slo"]["met"],
        "client_reasons": report["client"]["reasons"],
        "gates": report["gates"],
    }


def _asked(measures: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a measure from the moment at which requests were meant to be sent, where there was one."""
    corrected: Mapping[str, Any] = measures[f"corrected_{name}"]
    return corrected if corrected["count"] else measures[name]


def _percentiles(measure: Mapping[str, Any]) -> dict[str, Any]:
    """Return p50 and p99 with their intervals; `infinite` counts requests that were never answered."""
    ci = measure.get("ci95", {})
    return {
        **{name: measure[name] for name in ("p50", "p99")},
        "ci95": {name: ci.get(name, [None, None]) for name in ("p50", "p99")},
        "infinite": measure.get("infinite", 0),
    }


def reasons_of(verdict: str, reasons: Sequence[str]) -> str:
    """Return the verdict on a point, and why where the client was the limit, its strongest reason."""
    return f"{verdict}: {reasons[0]}" if verdict == "void" and reasons else verdict


def limited_at(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield each load at which this client was the limit, and all that shows it."""
    for row in rows:
        if row.get("outcome", row["verdict"]) == "void" and row["client_reasons"]:
            yield str(Load(row["loop"], row["load"])), row["client_reasons"]


def limits_shown(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the same as lines, one for each reason; the first of a load begins with it."""
    for load, reasons in limited_at(rows):
        for number, reason in enumerate(reasons):
            yield f"{' ' * len(load)}  {reason}" if number else f"{load}: {reason}"


def verdict_of_run(report: Mapping[str, Any]) -> str:
    """Return what a run came to: one of `VERDICTS`."""
    requests, overload, slo = report["requests"], report["load"]["overload"], report["slo"]
    failed = requests["failed"] > _TOLERATED * (requests["succeeded"] + requests["failed"])
    grew = overload is not None and overload["overloaded"]
    holds = {
        "void": (report["client"]["saturated"] and not grew) or (grew and overload["by_client"]),
        "overload": grew,
        "errors": failed,
        "missed": slo is not None and not slo["met"],
    }
    return next((name for name, so in holds.items() if so), "ok")
