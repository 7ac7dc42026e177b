"""The report of a run from its run file: as it was written at the run's end, or made anew of a run that was cut off."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from otel_llm.load.figures.health import Health
from otel_llm.load.figures.run_figures import RunFigures
from otel_llm.load.figures.stats import Stats
from otel_llm.load.server.account import ScrapedServer
from otel_llm.load.server.spans import ServerSpans
from otel_llm.load.show.report import SCHEMA
from otel_llm.measures import SERVER_MEASURES, Facts
from otel_llm.sinks.stored_run import read_records, read_scrapes

__all__ = ["report_and_stats", "report_of"]

_PART: Final = 1000
_OF_SERVERS: Final = ("first_token", "tail")


def report_of(path: Path, row: Mapping[str, Any], spans: ServerSpans | None = None) -> Mapping[str, Any]:
    """Return the report of a run of a run file, by its `run` row: also of a run that was cut off.

    spans: of servers that took part, whose times are added; raises ConfigError where they are of other requests
    """
    summary: Mapping[str, Any] | None = row["summary"]
    return report_and_stats(path, row, spans)[0] if summary is None or spans is not None else summary


def report_and_stats(
    path: Path, row: Mapping[str, Any], spans: ServerSpans | None = None
) -> tuple[Mapping[str, Any], Stats]:
    """Return the report that was written at the run's end, or a new one for a run that was cut off, and its stats.

    spans: as for `report_of`
    """
    figures = RunFigures(row["planned"] or 0, level=False)
    server = ScrapedServer().with_scrapes(read_scrapes(path, row["id"]))
    records, stats = read_records(path, row["id"]), figures.stats
    if spans is not None:
        records = spans.add_to(records)
    while part := list(islice(records, _PART)):
        facts = Facts.of(*part)
        figures.add(facts)
        server.add(facts)
    if row["summary"] is not None:
        stats.conclude(row["summary"]["requests"])
        return row["summary"] if spans is None else _with_server_times(row["summary"], figures), stats
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


def _with_server_times(summary: Mapping[str, Any], figures: RunFigures) -> Mapping[str, Any]:
    """Return the report with what the figures know of the server's times; all else stays as it was written."""
    found = figures.report(Health(0), None)
    measures = {name: found["measures"][name] for name in SERVER_MEASURES}
    return {**summary, **{name: found[name] for name in _OF_SERVERS}, "measures": summary["measures"] | measures}
