"""The runs and studies in a folder, a line each: when, what, of which model, how fast, and whether to believe it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from otel_llm.errors import ConfigError
from otel_llm.load.show.rows import milliseconds
from otel_llm.load.study.result import StudyResult, result_in
from otel_llm.load.study.rows import COLOURS, verdict_of_run
from otel_llm.sinks.stored_run import read_runs
from otel_llm.visible import on_one_line

__all__ = ["Line", "lines_in", "print_folder"]

_SQLITE: Final = b"SQLite format 3\0"


class Line(NamedTuple):
    """A run or a study. first_token: its p50 and p99 in s, None where there is none"""

    started_at: str
    file: str
    kind: str
    model: str
    requests: int
    first_token: tuple[float | None, float | None]
    verdict: str


def lines_in(folder: Path) -> Iterator[Line]:
    """Yield what is in a folder, oldest first; each run of a file that holds several, but for those of a study."""
    found = [line for path in folder.iterdir() if _is_database(path) for line in _lines(path)]
    yield from sorted(found, key=lambda line: line.started_at)


def print_folder(folder: Path, console: Console) -> None:
    """Print what is in a folder. Raises ConfigError where there is nothing."""
    lines = list(lines_in(folder))
    if not lines:
        raise ConfigError("a folder with run files", str(folder), "look for the .db file that a run named at its end")
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for column in ("when, UTC", "file", "what", "model"):
        table.add_column(
            column, no_wrap=True, overflow="ellipsis", min_width=8 if column in ("file", "model") else None
        )
    for column in ("sent", "TTFT p50", "p99"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for line in lines:
        when, times = line.started_at[5:16].replace("T", " "), [_ms(each) for each in line.first_token]
        colour = COLOURS.get(line.verdict.split()[0], "default")
        texts = [escape(on_one_line(each)) for each in (when, line.file, line.kind, line.model)]
        table.add_row(*texts, f"{line.requests:,}", *times, f"[{colour}]{line.verdict}[/]")
    console.print(table)
    console.print("[dim]TTFT, time to first token, in ms[/]")


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def _lines(path: Path) -> Iterator[Line]:
    """Yield what is in a file; nothing of one that is no run file."""
    try:
        study = result_in(path)
        runs = [] if study is not None else read_runs(path)
    except ConfigError:
        return
    if study is not None and study.run is not None:
        yield _of_study(path, study)
    for number, row in enumerate(runs, 1):
        yield _of_run(f"{path.name}#{number}" if len(runs) > 1 else path.name, row)


def _of_run(name: str, row: Mapping[str, Any]) -> Line:
    model, report = str(row["arguments"].get("model") or "-"), row["summary"]
    if report is None:
        return Line(row["started_at"], name, "run", model, 0, (None, None), "broken off")
    first = report["measures"]["time_to_first_token"]
    times, sent = (first["p50"], first["p99"]), report["requests"]["sent"]
    return Line(row["started_at"], name, "run", model, sent, times, verdict_of_run(report))


def _of_study(path: Path, study: StudyResult) -> Line:
    run = (study.run or {})["run"]
    name = "verdict" if study.bracket is None else "outcome"
    well = max((row["load"] for row in study.rows if row[name] in ("ok", "holds")), default=None)
    said = str(study.rows[0][name]) if well is None else f"ok to {well:g}"
    sent = sum(row["requests"] for row in study.rows)
    model = str(run["arguments"].get("model") or "-")
    return Line(run["started_at"], path.name, study.plan["kind"], model, sent, (None, None), said)


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else milliseconds(seconds)
