"""The report of a run from its run file: as it was written at the run's end, or made anew of a run that was cut off."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from otel_llm.load.figures.health import Health
from otel_llm.load.figures.run_figures import RunFigures
from otel_llm.load.figures.stats import Stats
from otel_llm.load.server.account import ServerSide
from otel_llm.load.show.report import SCHEMA
from otel_llm.measures import Facts
from otel_llm.sinks.sqlite import read_records, read_scrapes

__all__ = ["report_and_stats", "report_of"]

_PART: Final = 1000


def report_of(path: Path, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the report of a run of a run file, by its `run` row: also of a run that was cut off."""
    summary: Mapping[str, Any] | None = row["summary"]
    return report_and_stats(path, row)[0] if summary is None else summary


def report_and_stats(path: Path, row: Mapping[str, Any]) -> tuple[Mapping[str, Any], Stats]:
    """Return the report that was written at the run's end, or a new one for a run that was cut off, and its stats."""
    figures = RunFigures(row["planned"] or 0, level=False)
    server = ServerSide().with_scrapes(read_scrapes(path, row["id"]))
    records, stats = read_records(path, row["id"]), figures.stats
    while part := list(islice(records, _PART)):
        facts = Facts.of(*part)
        figures.add(facts)
        server.add(facts)
    if row["summary"] is not None:
        stats.conclude(row["summary"]["requests"])
        return row["summary"], stats
    stats.conclude(None)
    head = {name: row[name] for name in ("id", "name", "started_at", "arguments", "versions")}
    made: dict[str, Any] = {
        "schema": SCHEMA,
        "run": head,
        **figures.report(Health(0), None),
        "server": server.report(stats),
        "gates": [],
        "client": None,
    }
    made |= {"ended_by": None, "warmup": None, "telemetry": None}
    made["notes"] = ["the run was broken off before its end: this is what had been written by then"]
    return made, stats
