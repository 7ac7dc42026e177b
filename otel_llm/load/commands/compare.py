"""`otel-llm compare A B`: what differs between runs, how sure that is, and what could not have been seen."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.load.compare.comparison import Comparison, compare, doubts_of
from otel_llm.load.compare.views import HOW_TO_READ, markdown_of, print_comparison
from otel_llm.load.foreign.reading import report_from
from otel_llm.load.report.comparison_page import page_of_comparisons
from otel_llm.load.report.page import write_page
from otel_llm.load.report.rebuilt import report_of
from otel_llm.load.show.report import console
from otel_llm.load.show.result_file import check_writable, write_result_file
from otel_llm.sinks.sqlite import read_runs

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "runs", nargs="+", metavar="RUN",
        help="run files, JSON reports or results of other load generators (docs/other_tools.md); the first is what the "
        "others are compared with; FILE#N is run N of a file, "
        "FILE its latest; one FILE alone: its first run with all others",
    )  # fmt: skip
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write it as Markdown, for a pull request")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write it as a page (needs the extra `report`)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it as JSON (docs/report.md)")
    parser.add_argument(
        "--fail-if", choices=("worse",), help="exit code 1 when a figure got worse beyond what chance does"
    )
    parser.add_argument("--anyway", action="store_true", help="compare runs whose client was the limit, too")


def run(args: argparse.Namespace) -> int:
    """Print the comparison; return 0, or 1 for --fail-if. Raises ConfigError for what cannot be compared."""
    for path, option, what in (
        (args.markdown, "--markdown", "Markdown"),
        (args.json, "--json", "JSON"),
        (args.html, "--html", "HTML"),
    ):
        if path is not None:
            check_writable(path, option, what)
    reports = dict(_reports(args.runs))
    if len(reports) < 2:
        raise ConfigError("two runs or more to compare", next(iter(reports)), "give another run file")
    if not args.anyway and (doubts := [each for found in reports.items() for each in doubts_of(*found)]):
        raise ConfigError("runs that measured their server", "; ".join(doubts), "--anyway compares them all the same")
    brief = _briefly(reports)
    (base, first), *others = brief.items()
    comparisons = [compare((base, name), first, report) for name, report in others]
    if args.json is not None:
        write_result_file(args.json, msgspec.json.format(msgspec.json.encode(comparisons)) + b"\n", "--json", "JSON")
    if args.markdown is not None:
        write_result_file(args.markdown, markdown_of(comparisons).encode(), "--markdown", "Markdown")
    _show(comparisons)
    if args.html is not None:
        write_page(args.html, lambda: page_of_comparisons(comparisons, brief))
    return int(args.fail_if == "worse" and any(each.worse for each in comparisons))


def _show(comparisons: Sequence[Comparison]) -> None:
    out = console()
    for comparison in comparisons:
        print_comparison(comparison, out)
    out.print(f"[dim]{HOW_TO_READ}[/]", highlight=False, soft_wrap=True)
    sys.stdout.flush()


def _briefly(reports: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """Return the reports by the names of their files, without their folders where that tells them apart."""
    brief = {Path(name).name: report for name, report in reports.items()}
    return brief if len(brief) == len(reports) else reports


def _reports(words: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the name and the report of each run that was named."""
    for word in words:
        path, _, number = word.rpartition("#") if "#" in word and not Path(word).exists() else (word, "", "")
        file = Path(path)
        if file.is_file() and file.read_bytes()[:1] == b"{":
            yield word, _from_json(file)
            continue
        runs = read_runs(file)
        if number and not (number.isdigit() and 1 <= int(number) <= len(runs)):
            raise ConfigError(f"{path}#1 to {path}#{len(runs)}", word)
        if len(words) == 1 and not number:
            yield from ((f"{path}#{at}", report_of(file, row)) for at, row in enumerate(runs, 1))
        else:
            yield word, report_of(file, runs[int(number) - 1 if number else -1])


def _from_json(file: Path) -> Mapping[str, Any]:
    if (foreign := report_from(file)) is not None:
        return foreign
    try:
        found = msgspec.json.decode(file.read_bytes())
        if found["schema"] == 1 and "measures" in found:
            return dict(found)
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise ConfigError("a report that --json wrote", f"{file} ({error!r})") from error
    raise ConfigError("a report that --json wrote", str(file))
