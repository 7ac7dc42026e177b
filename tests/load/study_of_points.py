"""Study files with made-up points: a report of a real run, again at each load, with the figures of that load."""

import copy
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from otel_llm.load.study.point import Point
from otel_llm.load.study.study_file import StudyFile
from otel_llm.sinks.stored_run import read_runs

__all__ = ["Told", "study_of"]


class Told(msgspec.Struct):
    """What a point came to. factor: of all latencies of the run that it is made of; repeat: of the load, from 0"""

    load: float
    factor: float = 1.0
    overloaded: bool = False
    saturated: bool = False
    certainty: str | None = None
    repeat: int = 0


def study_of(run_file: Path, to: Path, told: Sequence[Told], *, kind: str = "sweep", loop: str = "rate") -> Path:
    """Write a study to `to`, made of the latest run of a file, and return it."""
    row = read_runs(run_file)[-1]
    points = [Point(at, loop, each.load, each.repeat) for at, each in enumerate(told, 1)]  # type: ignore[arg-type]
    plan: dict[str, Any] = {"kind": kind, "options": "digest"}
    if kind == "sweep":
        plan["points"] = [[point.loop, point.load, point.repeat] for point in points]
    else:
        plan |= {"loop": loop, "first": told[0].load, "precision": 0.05, "highest": None}
    with StudyFile.open(to, plan) as study:
        for point, each in zip(points, told, strict=True):
            report = _report(row, each, f"run{point.number}", loop)
            _add(to, row, report)
            study.add(point, report["run"]["id"])
    return to


def _report(row: Mapping[str, Any], told: Told, run_id: str, loop: str) -> dict[str, Any]:
    report = copy.deepcopy(row["summary"])
    report["run"]["id"] = run_id
    report["run"]["arguments"] |= {"rate": None, "parallel": None, loop: told.load}
    report["client"]["saturated"] = told.saturated
    for measure in report["measures"].values():
        for name in ("p50", "p99"):
            measure[name] = measure[name] and measure[name] * told.factor
            if measure["count"]:
                for interval, off in (("ci95", 0.1), ("ci83", 0.1 / 2**0.5)):
                    ends = [measure[name] * (1 - off), measure[name] * (1 + off)] if measure[name] else [None, None]
                    measure[interval][name] = ends
    growth = {"growth": 7.5, "ci95": [7.0, 8.0], "backlog": [1, 90]} if told.overloaded else {}
    still = {"growth": 0.0, "ci95": [-0.5, 0.5], "backlog": [1, 1]}
    report["load"]["overload"] = {**still, **growth, "overloaded": told.overloaded, "by_client": False}
    report["requests"] |= {"failed": 0, "errors": {}}
    certainty = {
        "verdict": told.certainty, "requests": 300, "good": 299, "independent": 200.0, "attainment": 299 / 300,
        "confidence": 0.95,
    }  # fmt: skip
    report["slo"] = {
        "terms": {}, "met": not told.overloaded, "goodput": told.load * 0.9, "required_attainment": 0.99,
        "certainty": certainty,
    }  # fmt: skip
    return report


def _add(to: Path, row: Mapping[str, Any], report: Mapping[str, Any]) -> None:
    texts = [msgspec.json.encode(each).decode() for each in (row["arguments"], row["versions"], report)]
    with closing(sqlite3.connect(to)) as db, db:
        db.execute(
            "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (report["run"]["id"], row["schema"], row["name"], row["started_at"], *texts[:2], row["clock_origin"],
             row["planned"], texts[2]),
        )  # fmt: skip
