"""`otel-llm compare A B`: what differs between runs or studies, how sure that is, and what could not be seen."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.load.compare.comparison import Comparison, compare, doubts_of
from otel_llm.load.compare.limits import compare_limits, report_of_search
from otel_llm.load.compare.pairing import pair as pair_requests
from otel_llm.load.compare.views import HOW_TO_READ, markdown_of, print_comparison
from otel_llm.load.foreign.reading import report_from
from otel_llm.load.report.comparison_page import page_of_comparisons
from otel_llm.load.report.page import write_page
from otel_llm.load.report.rebuilt import report_of
from otel_llm.load.show.console import console
from otel_llm.load.show.result_file import check_writable, write_result_file
from otel_llm.load.study.loads import Load
from otel_llm.load.study.point import Point
from otel_llm.load.study.result import StudyResult, result_of
from otel_llm.load.study.study_file import read_study
from otel_llm.sinks.sqlite import read_runs

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "runs", nargs="+", metavar="RUN",
        help="run files, JSON reports or results of other load generators (docs/other_tools.md); the first is what the "
        "others are compared with; FILE#N is run N of a file, FILE its latest; one FILE alone: its first run with all "
        "others; sweeps: load by load; searches: by their limits",
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
    base, *others = _briefly(list(_sources(args.runs)))
    if not others:
        raise ConfigError("two runs or more to compare", base.name, "give another run file")
    made = [_compared(base, other, anyway=args.anyway) for other in others]
    comparisons = [comparison for each, _ in made for comparison in each]
    reports = {name: report for _, each in made for name, report in each.items()}
    if args.json is not None:
        write_result_file(args.json, msgspec.json.format(msgspec.json.encode(comparisons)) + b"\n", "--json", "JSON")
    if args.markdown is not None:
        write_result_file(args.markdown, markdown_of(comparisons).encode(), "--markdown", "Markdown")
    _show(comparisons)
    if args.html is not None:
        write_page(args.html, lambda: page_of_comparisons(comparisons, reports))
    return int(args.fail_if == "worse" and any(each.worse for each in comparisons))


def _show(comparisons: Sequence[Comparison]) -> None:
    out = console()
    for comparison in comparisons:
        print_comparison(comparison, out)
    out.print(f"[dim]{HOW_TO_READ}[/]", highlight=False, soft_wrap=True)
    sys.stdout.flush()


class _Run(NamedTuple):
    """A run; path: its run file, None where there is only a report."""

    report: Mapping[str, Any]
    path: Path | None


class _Source(NamedTuple):
    """What was named.

    runs:   of a study by their loads, else a single one, by None
    search: where it is one
    """

    name: str
    runs: Mapping[Load | None, _Run]
    search: StudyResult | None = None


def _compared(
    base: _Source, other: _Source, *, anyway: bool
) -> tuple[Sequence[Comparison], Mapping[str, Mapping[str, Any]]]:
    """Return the comparisons of two sources, and the reports of what was compared by their names.

    Raises ConfigError where they cannot be compared, or should not: then not with anyway.
    """
    if base.search is not None and other.search is not None:
        searches = {base.name: base.search, other.name: other.search}
        found = compare_limits((base.name, other.name), base.search, other.search)
        _refuse("searches for one SLO", [] if anyway else found.doubts)
        return [found], {name: report_of_search(search) for name, search in searches.items()}
    loads = _common(base, other)
    reports = {
        f"{each.name}{'' if load is None else f' at {load}'}": each.runs[load].report
        for load in loads
        for each in (base, other)
    }
    doubts = [] if anyway else [each for report in reports.items() for each in doubts_of(*report)]
    _refuse("runs that measured their server", doubts)
    return [_compare(base, other, load) for load in loads], reports


def _refuse(wanted: str, doubts: Sequence[str]) -> None:
    if doubts:
        raise ConfigError(wanted, "; ".join(doubts), "--anyway compares them all the same")


def _compare(base: _Source, other: _Source, load: Load | None) -> Comparison:
    """Return the comparison of two runs; request by request where both have run files."""
    first, second = base.runs[load], other.runs[load]
    paired = None
    if first.path is not None and second.path is not None:
        paired = pair_requests((first.path, first.report), (second.path, second.report))
    at = None if load is None else str(load)
    return compare((base.name, other.name), first.report, second.report, paired, at)


def _common(base: _Source, other: _Source) -> list[Load | None]:
    """Return the loads that two studies have in common; None of two runs."""
    if (None in base.runs) != (None in other.runs):
        study, run = (other, base) if None in base.runs else (base, other)
        raise ConfigError("two runs or two studies", f"the study {study.name} and the run {run.name}", "name FILE#N")
    common = [load for load in base.runs if load in other.runs]
    if not common:
        loads = " and ".join(f"{each.name} ({', '.join(map(str, each.runs))})" for each in (base, other))
        raise ConfigError("studies with a load in common", loads)
    return common


def _briefly(sources: Sequence[_Source]) -> Sequence[_Source]:
    """Return sources by the names of their files, without their folders where that tells them apart."""
    brief = [source._replace(name=Path(source.name).name) for source in sources]
    return brief if len({source.name for source in brief}) == len(sources) else sources


def _sources(words: Sequence[str]) -> Iterator[_Source]:
    """Yield each run or study that was named, once."""
    for word in dict.fromkeys(words):
        path, _, number = word.rpartition("#") if "#" in word and not Path(word).exists() else (word, "", "")
        file = Path(path)
        if file.is_file() and file.read_bytes()[:1] == b"{":
            yield _Source(word, {None: _Run(_from_json(file), None)})
            continue
        runs = read_runs(file)
        if number and not (number.isdigit() and 1 <= int(number) <= len(runs)):
            raise ConfigError(f"{path}#1 to {path}#{len(runs)}", word)
        if len(words) == 1 and not number:
            for at, row in enumerate(runs, 1):
                yield _Source(f"{path}#{at}", {None: _Run(report_of(file, row), file)})
        elif not number and (study := read_study(file)) is not None:
            search = result_of(file, *study) if study[0]["kind"] == "find" and study[1] else None
            yield _Source(word, _runs_of(study[1], file), search)
        else:
            yield _Source(word, {None: _Run(report_of(file, runs[int(number) - 1 if number else -1]), file)})


def _runs_of(points: Sequence[tuple[Point, Mapping[str, Any]]], file: Path) -> dict[Load | None, _Run]:
    """Return the first run of a study at each load, lowest first."""
    found: dict[Load | None, _Run] = {}
    for point, report in sorted(points, key=lambda each: (each[0].load, each[0].repeat)):
        found.setdefault(Load(point.loop, point.load), _Run(report, file))
    return found


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
