"""The formats that `otel-llm report` writes beside its own, each by the option that names it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import msgspec

from otel_llm.load.export.columns import POINT, REQUEST, point_of, requests_of
from otel_llm.load.export.llm_d import llm_d_of_run
from otel_llm.load.export.markdown import markdown_of_run, markdown_of_study
from otel_llm.load.export.openmetrics import openmetrics_of_run
from otel_llm.load.export.tables import write_csv, write_parquet
from otel_llm.load.study.result import StudyResult
from otel_llm.record import to_json
from otel_llm.sinks.stored_run import read_records

__all__ = ["FORMATS", "Format"]

Report = Mapping[str, Any]


class Format(NamedTuple):
    """A format. of_run: writes a run, of its run file and report; of_study: a study; None: it has no place for one"""

    name: str
    about: str
    of_run: Callable[[IO[bytes], Path, Report], object]
    of_study: Callable[[IO[bytes], StudyResult], object] | None = None


def _whole(make: Callable[[Report], bytes]) -> Callable[[IO[bytes], Path, Report], object]:
    """Return what writes a report that is made at once."""
    return lambda to, _, report: to.write(make(report))


def _jsonl(to: IO[bytes], path: Path, report: Report) -> None:
    to.writelines(to_json(record) + b"\n" for record in read_records(path, report["run"]["id"]))


FORMATS: Final[Mapping[str, Format]] = {
    "csv": Format(
        "CSV", "write a table as CSV: a line per request, or per point of a study",
        lambda to, path, report: write_csv(to, REQUEST, requests_of(path, report["run"]["id"])),
        lambda to, study: write_csv(to, POINT, [list(map(point_of, study.rows))]),
    ),
    "parquet": Format(
        "Parquet", "the same table as Parquet (needs the extra `parquet`)",
        lambda to, path, report: write_parquet(to, REQUEST, requests_of(path, report["run"]["id"])),
        lambda to, study: write_parquet(to, POINT, [list(map(point_of, study.rows))]),
    ),
    "jsonl": Format(
        "JSON lines", "write a line of JSON per request, as `perf --jsonl` does, or per point of a study", _jsonl,
        lambda to, study: to.writelines(msgspec.json.encode(row) + b"\n" for row in study.rows),
    ),
    "markdown": Format(
        "Markdown", "write what came out as Markdown",
        _whole(lambda report: markdown_of_run(report).encode()),
        lambda to, study: to.write(markdown_of_study(study).encode()),
    ),
    "openmetrics": Format(
        "OpenMetrics", "write the figures as OpenMetrics text (needs the extra `report`)",
        _whole(openmetrics_of_run),
    ),
    "llm_d": Format(
        "llm-d", "write the figures as a Benchmark Report 0.2 of llm-d",
        _whole(llm_d_of_run),
    ),
}  # fmt: skip
"""By the name of the option among parsed arguments."""
