"""The report of a run, made from its run file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otel_llm.load.report.collect import collect
from otel_llm.load.report.command_line import command_line
from otel_llm.load.report.model import RunReport
from otel_llm.load.report.sentences import verdict_of
from otel_llm.load.show.lines import answer_of, load_of

__all__ = ["report_of_run"]


def report_of_run(path: Path, figures: Mapping[str, Any]) -> RunReport:
    """Return the report of a run. Raises ConfigError when the file is no run file.

    figures: the report as JSON has it
    """
    run, found = figures["run"], collect(path, figures["run"]["id"], figures)
    return RunReport(
        figures=figures,
        title=str(run["arguments"].get("model") or run["name"]),
        load=load_of(run["arguments"]),
        answer=answer_of(figures),
        verdict=verdict_of(figures["client"]),
        command=command_line(run["arguments"]),
        **found._asdict(),
    )
