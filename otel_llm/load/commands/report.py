"""`otel-llm report RUN`: the report of a run file, also of a run that was interrupted."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import msgspec

from otel_llm.errors import ConfigError, OtelLLMError
from otel_llm.load.export.formats import FORMATS, Format
from otel_llm.load.plan.stages import peak_of
from otel_llm.load.prompts.wording import answer_text_of, prompt_text_of
from otel_llm.load.report.folder import print_folder
from otel_llm.load.report.page import write_page
from otel_llm.load.report.rebuilt import report_and_stats, report_of
from otel_llm.load.report.run import report_of_run
from otel_llm.load.report.run_page import page_of_run
from otel_llm.load.report.study_page import page_of_study
from otel_llm.load.server.spans import ServerSpans
from otel_llm.load.show.console import console
from otel_llm.load.show.course import slices_table
from otel_llm.load.show.llmuses_format import is_wanted, summary_block
from otel_llm.load.show.report import print_report
from otel_llm.load.show.result_file import check_writable, result_file, write_json
from otel_llm.load.study.result import StudyResult, result_in
from otel_llm.sinks.stored_run import read_answers, read_runs
from otel_llm.visible import on_one_line
from otel_llm.wire.any_events import AnyEvents
from otel_llm.wire.discovery import protocol_for_path
from otel_llm.wire.protocol import Protocol
from otel_llm.wire.protocol_files import find_protocol

__all__ = ["add_arguments", "run"]

_NARROW = 80


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "file", type=Path, metavar="RUN",
        help="the run file that `otel-llm perf` named at its end, or a study's; a folder: what is in it, a line each",
    )  # fmt: skip
    parser.add_argument("--run", metavar="N", type=int, help="which run of the file, from 1; default: the latest")
    parser.add_argument("--requests", action="store_true", help="first a line per answer: prompt, completion, tokens")
    parser.add_argument("--slices", action="store_true", help="also a line per slice of the run's time")
    parser.add_argument(
        "--compat", choices=("llmuses", "none"), help="also the summary of llmuses perf; default: as the run printed it"
    )
    parser.add_argument(
        "--server-spans", type=Path, metavar="FILE",
        help="also the servers' own times of these requests, from their spans (docs/server.md): "
        "lines of the Collector's file exporter, or a file of `otel-llm view`",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON (docs/report.md)")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write the report as a page with charts (needs the extra `report`)"
    )
    others = parser.add_argument_group("formats that others read (docs/exports.md)")
    for name, each in FORMATS.items():
        others.add_argument(f"--{name.replace('_', '-')}", type=Path, metavar="FILE", help=each.about)


def run(args: argparse.Namespace) -> int:
    """Print it, or write a page of it; return 0. Raises ConfigError for no run file, or one without such a run."""
    if args.file.is_dir():
        if _in_files(args):
            raise ConfigError("a run file to write", f"the folder {args.file}", "it is listed without these options")
        print_folder(args.file, console(_NARROW))
        return 0
    if args.run is None and (study := result_in(args.file)) is not None:
        return _of_study(study, args)
    runs = read_runs(args.file)
    number = len(runs) if args.run is None else args.run
    if not 1 <= number <= len(runs):
        raise ConfigError(f"--run to be 1 to {len(runs)}", number)
    row = runs[number - 1]
    spans = None if args.server_spans is None else ServerSpans(args.server_spans)
    try:
        if _in_files(args):
            report = report_of(args.file, row, spans)
            page = partial(_page_of_run, args.file, report)
            if _write(args, report, page, lambda to, each: each.of_run(to, args.file, report)):
                return 0
        if args.requests:
            for line in _lines(args.file, row):
                sys.stdout.write(line + "\n")
        report, stats = report_and_stats(args.file, row, spans)
        out = console()
        title = f"run {number} of {len(runs)}  {row['name']}  {row['started_at']}"
        out.print(on_one_line(title), soft_wrap=True, markup=False)
        print_report(report, out)
        if is_wanted(row["arguments"] if args.compat is None else vars(args)):
            sys.stdout.write(f"\n{summary_block(stats, peak_of(row['arguments'].get('parallel')))}\n")
        if args.slices and report.get("slices"):
            out.print()
            out.print(slices_table(report["slices"]))
    except (KeyError, TypeError, AttributeError, msgspec.MsgspecError) as error:  # JSON of another shape than ours
        raise ConfigError("a run file", f"{args.file} (damaged: {error!r})", "try another --run") from error
    return 0


def _of_study(study: StudyResult, args: argparse.Namespace) -> int:
    """Print a study, or write a page of it; return 0."""
    if args.requests or args.slices or args.server_spans:
        raise ConfigError("--run N", "none", f"{args.file} is a study of {len(study.rows)} points: say which run of it")
    if not _write(args, study.json(), lambda: page_of_study(study), partial(_write_study, study)):
        study.print(console())
    return 0


def _in_files(args: argparse.Namespace) -> bool:
    """Return whether anything is to be written to a file."""
    return any(getattr(args, name) is not None for name in ("json", "html", *FORMATS))


def _write(
    args: argparse.Namespace,
    report: Mapping[str, Any],
    page: Callable[[], str],
    export: Callable[[IO[bytes], Format], object],
) -> bool:
    """Write the files that are asked for, and say where they are; return whether that is all that is to be done."""
    if args.json is not None:
        write_json(args.json, report)
    for name, each in FORMATS.items():
        if (path := getattr(args, name)) is not None:
            option = f"--{name.replace('_', '-')}"
            check_writable(path, option, each.name)
            with result_file(path, option, each.name) as file:
                export(file, each)
            sys.stdout.write(f"{each.name}  {path}\n")
    if args.html is not None:
        write_page(args.html, page)
    return any(getattr(args, name) is not None for name in ("html", *FORMATS))


def _page_of_run(path: Path, report: Mapping[str, Any]) -> str:
    return page_of_run(report_of_run(path, report))


def _write_study(study: StudyResult, to: IO[bytes], each: Format) -> None:
    if each.of_study is None:
        raise ConfigError("--run N", "none", f"{each.name} has a place for one run: say which of {study.path}")
    each.of_study(to, study)


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
