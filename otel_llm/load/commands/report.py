"""`otel-llm report RUN`: the report of a run file, also of a run that was interrupted."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from otel_llm.errors import ConfigError, OtelLLMError
from otel_llm.load.coordinator.garbage import rare_collections
from otel_llm.load.figures.health import Health
from otel_llm.load.figures.run_figures import RunFigures
from otel_llm.load.figures.stats import Stats
from otel_llm.load.plan.stages import peak_of
from otel_llm.load.prompts.wording import answer_text_of, prompt_text_of
from otel_llm.load.report.page import page_of_run
from otel_llm.load.report.run import report_of_run
from otel_llm.load.show.course import slices_table
from otel_llm.load.show.llmuses_format import summary_block
from otel_llm.load.show.report import SCHEMA, console, print_report, write_json
from otel_llm.load.show.result_file import check_writable, write_result_file
from otel_llm.measures import Facts
from otel_llm.sinks.sqlite import read_answers, read_records, read_runs
from otel_llm.visible import on_one_line
from otel_llm.wire.any_events import AnyEvents
from otel_llm.wire.discovery import protocol_for_path
from otel_llm.wire.protocol import Protocol
from otel_llm.wire.protocol_files import find_protocol

__all__ = ["add_arguments", "report_of", "run"]

_PART = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("file", type=Path, metavar="RUN", help="the run file that `otel-llm perf` named at its end")
    parser.add_argument("--run", metavar="N", type=int, help="which run of the file, from 1; default: the latest")
    parser.add_argument("--requests", action="store_true", help="first a line per answer: prompt, completion, tokens")
    parser.add_argument("--slices", action="store_true", help="also a line per slice of the run's time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON (docs/report.md)")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write the report as a page with charts (needs the extra `report`)"
    )


def run(args: argparse.Namespace) -> int:
    """Print it, or write a page of it; return 0. Raises ConfigError for no run file, or one without such a run."""
    runs = read_runs(args.file)
    number = len(runs) if args.run is None else args.run
    if not 1 <= number <= len(runs):
        raise ConfigError(f"--run to be 1 to {len(runs)}", number)
    row = runs[number - 1]
    try:
        if args.html is not None:
            _write_page(args.html, args.file, row)
            return 0
        if args.requests:
            for line in _lines(args.file, row):
                sys.stdout.write(line + "\n")
        report, stats = _report(args.file, row)
        if args.json is not None:
            write_json(args.json, report)
        out = console()
        title = f"run {number} of {len(runs)}  {row['name']}  {row['started_at']}"
        out.print(on_one_line(title), soft_wrap=True, markup=False)
        sys.stdout.write(summary_block(stats, peak_of(row["arguments"].get("parallel"))) + "\n")
        print_report(report, out)
        if args.slices and report.get("slices"):
            out.print()
            out.print(slices_table(report["slices"]))
    except (KeyError, TypeError, AttributeError, msgspec.MsgspecError) as error:  # JSON of another shape than ours
        raise ConfigError("a run file", f"{args.file} (damaged: {error!r})", "try another --run") from error
    return 0


def _write_page(to: Path, path: Path, row: Mapping[str, Any]) -> None:
    """Write the report of a run as a page, and say where it is."""
    check_writable(to, "--html", "HTML")
    with rare_collections():
        page = page_of_run(report_of_run(path, report_of(path, row))).encode()
    write_result_file(to, page, "--html", "HTML")
    sys.stdout.write(f"report  {to}  {len(page) / 1e6:.1f} MB\n")


def report_of(path: Path, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the report of a run of a run file, by its `run` row: also of a run that was cut off."""
    summary: Mapping[str, Any] | None = row["summary"]
    return _report(path, row)[0] if summary is None else summary


def _report(path: Path, row: Mapping[str, Any]) -> tuple[Mapping[str, Any], Stats]:
    """Return the report that was written at the run's end, or a new one for a run that was cut off, and its stats."""
    figures = RunFigures(row["planned"] or 0, level=False)
    records, stats = read_records(path, row["id"]), figures.stats
    while part := list(islice(records, _PART)):
        figures.add(Facts.of(*part))
    if row["summary"] is not None:
        stats.conclude(row["summary"]["requests"])
        return row["summary"], stats
    stats.conclude(None)
    head = {name: row[name] for name in ("id", "name", "started_at", "arguments", "versions")}
    made: dict[str, Any] = {
        "schema": SCHEMA,
        "run": head,
        **figures.report(Health(0), None),
        "gates": [],
        "client": None,
    }
    made |= {"ended_by": None, "warmup": None, "telemetry": None}
    made["notes"] = ["the run was broken off before its end: this is what had been written by then"]
    return made, stats


def _lines(path: Path, row: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each request that succeeded, as the analysis script of `llmuses` prints it."""
    protocol = _protocol(row["arguments"])
    for request, messages, inputs, outputs in read_answers(path, row["id"]):
        if request is None or messages is None:
            raise ConfigError("a run file with prompts and answers", "one of --no-content", "go without --requests")
        prompt = prompt_text_of(msgspec.json.decode(request))
        answer = _answer_of(protocol, msgspec.json.decode(messages))
        yield on_one_line(f"prompt: {prompt}, tokens: {inputs}, completion: {answer}, tokens: {outputs}")


def _protocol(arguments: Mapping[str, Any]) -> type[Protocol]:
    if name := arguments.get("protocol"):
        return find_protocol(name)
    url = arguments.get("url") or ""
    otherwise = AnyEvents if arguments.get("parser") else None
    return protocol_for_path(urlsplit(url if isinstance(url, str) else url[0]).path, otherwise)


def _answer_of(protocol: type[Protocol], events: Sequence[str]) -> str:
    try:
        return answer_text_of(protocol, events)
    except (ValueError, OtelLLMError, msgspec.MsgspecError) as error:
        return f"[not readable: {error}]"
