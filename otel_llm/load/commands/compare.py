"""`otel-llm compare A B`: what differs between runs or studies, how sure that is, and what could not be seen."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.load.compare.comparison import Comparison, Report, compare, doubts_of
from otel_llm.load.compare.differing import options_that_differ
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
from otel_llm.sinks.stored_run import read_runs

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "runs", nargs="+", metavar="RUN",
        help="run files, JSON reports or results of other load generators (docs/other_tools.md); the first is what the "
        "others are compared with; FILE is its latest run, with those that did the same before it; FILE#N is run N, "
        "FILE#N,M,… several of one load; one FILE alone: its first run, or load, with all others; sweeps: load by "
        "load; searches: by their limits",
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

    report: Report
    path: Path | None


class _Source(NamedTuple):
    """What was named.

    runs:   of a study by their loads, else those of one load, by None
    search: where it is one
    """

    name: str
    runs: Mapping[Load | None, Sequence[_Run]]
    search: StudyResult | None = None

    def reports(self, load: Load | None) -> Sequence[Report]:
        return [run.report for run in self.runs[load]]


def _compared(base: _Source, other: _Source, *, anyway: bool) -> tuple[Sequence[Comparison], Mapping[str, Report]]:
    """Return the comparisons of two sources, and the reports of what was compared by their names.

    Raises ConfigError where they cannot be compared, or should not: then not with anyway.
    """
    if base.search is not None and other.search is not None:
        searches = {base.name: base.search, other.name: other.search}
        found = compare_limits((base.name, other.name), base.search, other.search)
        _refuse("searches for one SLO", [] if anyway else found.doubts)
        return [found], {name: report_of_search(search) for name, search in searches.items()}
    loads = _common(base, other)
    groups = {
        f"{each.name}{'' if load is None else f' at {load}'}": each.reports(load)
        for load in loads
        for each in (base, other)
    }
    _refuse(
        "runs that measured their server", [] if anyway else [d for each in groups.items() for d in doubts_of(*each)]
    )
    return [_compare(base, other, load) for load in loads], {name: _told(group) for name, group in groups.items()}


def _told(group: Sequence[Report]) -> Report:
    """Return the report of the first run, with the requests that all of them sent."""
    sent = sum(report["requests"]["sent"] for report in group)
    return {**group[0], "requests": {**group[0]["requests"], "sent": sent}}


def _refuse(wanted: str, doubts: Sequence[str]) -> None:
    if doubts:
        raise ConfigError(wanted, "; ".join(doubts), "--anyway compares them all the same")


def _compare(base: _Source, other: _Source, load: Load | None) -> Comparison:
    """Return the comparison of two loads; request by request where both are one run with a run file."""
    runs, paired = [*base.runs[load], *other.runs[load]], None
    files = [(run.path, run.report) for run in runs if run.path is not None]
    if len(runs) == len(files) == 2:
        paired = pair_requests(*files)
    at = None if load is None else str(load)
    return compare((base.name, other.name), base.reports(load), other.reports(load), paired, at)


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
    for word in dict.fromkeys(words):
        path, _, numbers = word.rpartition("#") if "#" in word and not Path(word).exists() else (word, "", "")
        file = Path(path)
        if file.is_file() and file.read_bytes()[:1] == b"{":
            yield _Source(word, {None: [_Run(_from_json(file), None)]})
            continue
        rows = read_runs(file)
        if numbers:
            yield _numbered(file, rows, _chosen(word, path, numbers, len(rows)))
        elif len(words) == 1:
            yield from (_numbered(file, rows, group) for group in _loads_in(rows))
        elif (study := read_study(file)) is not None:
            search = result_of(file, *study) if study[0]["kind"] == "find" and study[1] else None
            yield _Source(word, _runs_of(study[1], file), search)
        else:
            latest = next(group for group in _alike(rows) if len(rows) in group)
            yield _Source(word, _numbered(file, rows, latest).runs)


def _chosen(word: str, path: str, numbers: str, count: int) -> Sequence[int]:
    """Return the numbers of runs in `FILE#N,M`. Raises ConfigError."""
    chosen = numbers.split(",")
    if not all(number.isdecimal() and 1 <= int(number) <= count for number in chosen):
        raise ConfigError(f"{path}#1 to {path}#{count}", word)
    return list(dict.fromkeys(map(int, chosen)))


def _numbered(file: Path, rows: Sequence[Mapping[str, Any]], numbers: Sequence[int]) -> _Source:
    """Return runs of a file, by their numbers from 1, as those of one load."""
    runs = [_Run(report_of(file, rows[number - 1]), file) for number in numbers]
    return _Source(f"{file}#{','.join(map(str, numbers))}", {None: runs})


def _loads_in(rows: Sequence[Mapping[str, Any]]) -> Sequence[Sequence[int]]:
    """Return the numbers of a file's runs, those of one load together; of a file with one load each by itself."""
    groups = _alike(rows)
    return groups if len(groups) > 1 else [[number] for number in range(1, len(rows) + 1)]


def _alike(rows: Sequence[Mapping[str, Any]]) -> Sequence[Sequence[int]]:
    """Return the numbers of runs in groups that did the same, by the same versions; broken-off ones by themselves."""
    groups: list[list[int]] = []
    for number, row in enumerate(rows, 1):
        found = (group for group in groups if _did_the_same(rows[group[0] - 1], row))
        if (group := next(found, None)) is None:
            groups.append([number])
        else:
            group.append(number)
    return groups


def _did_the_same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    if first["summary"] is None or second["summary"] is None or first["versions"] != second["versions"]:
        return False
    return not any(options_that_differ(first["arguments"], second["arguments"]))


def _runs_of(points: Sequence[tuple[Point, Report]], file: Path) -> dict[Load | None, Sequence[_Run]]:
    """Return the runs of a study at each load, lowest first."""
    found: dict[Load | None, list[_Run]] = {}
    for point, report in sorted(points, key=lambda each: (each[0].load, each[0].repeat)):
        found.setdefault(point.asked, []).append(_Run(report, file))
    return {**found}


def _from_json(file: Path) -> Report:
    if (foreign := report_from(file)) is not None:
        return foreign
    try:
        found = msgspec.json.decode(file.read_bytes())
        if found["schema"] == 1 and "measures" in found:
            return dict(found)
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise ConfigError("a report that --json wrote", f"{file} ({error!r})") from error
    raise ConfigError("a report that --json wrote", str(file))
