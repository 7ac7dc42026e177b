"""`otel-llm find`: the highest load at which an SLO holds, as a bracket, and how sure that is."""

import argparse
import math
import sys
from typing import Final

from otel_llm.errors import ConfigError
from otel_llm.load.figures.slo import ATTAINMENT, parse_term
from otel_llm.load.plan.option_values import share
from otel_llm.load.plan.other_tools import OTHER_NAMES as OF_OTHER_TOOLS
from otel_llm.load.show.console import console
from otel_llm.load.show.result_file import write_json
from otel_llm.load.study.bracket import outcome_of
from otel_llm.load.study.loads import Loop
from otel_llm.load.study.options import add_shared, check_files, options_of_runs, study_path
from otel_llm.load.study.point import Point
from otel_llm.load.study.points import Interrupted, between, run_point
from otel_llm.load.study.result import result_of, search_of
from otel_llm.load.study.rows import reasons_of
from otel_llm.load.study.study_file import StudyFile, digest_of

__all__ = ["OTHER_NAMES", "add_arguments", "run"]

OTHER_NAMES: Final = {
    **OF_OTHER_TOOLS,
    "rate": "--start R (the rate is what it finds)",
    "parallel": "--in-parallel (their number is what it finds)",
}
_INTERRUPTED: Final = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    own = add_shared(parser, "the search")
    own.add_argument("--in-parallel", action="store_true", help="find requests in progress, not requests per second")
    own.add_argument(
        "--start", dest="first", type=float, default=1.0, metavar="LOAD", help="try this first (default: 1)"
    )
    own.add_argument("--highest", type=float, default=math.inf, metavar="LOAD", help="try none above it")
    own.add_argument(
        "--precision", type=share, default=0.05, metavar="SHARE", help="of the bracket's width (default: 5%%)"
    )


def run(args: argparse.Namespace) -> int:
    """Search, print the bracket and return the exit code. Raises ConfigError for what cannot be done."""
    _check(args)
    options = options_of_runs(args) | {"until_certain": True}
    loop: Loop = "parallel" if args.in_parallel else "rate"
    path = study_path(args.name, "find", options)
    plan = {
        "kind": "find", "loop": loop, "first": args.first, "precision": args.precision,
        "highest": args.highest if math.isfinite(args.highest) else None, "options": digest_of(options),
    }  # fmt: skip
    search, code = search_of(plan, args.slo_attainment or ATTAINMENT), 0
    with StudyFile.open(path, plan) as study:
        for point, report in study.points():  # what was learnt before it was stopped
            search.tell(outcome_of(point.load, report))
        try:
            while (load := search.next()) is not None:
                between(args.pause if search.answers else 0, args.between)
                point = Point(len(search.answers) + 1, loop, load)
                report = run_point(study, point, options)
                search.tell(outcome_of(load, report))
                said = reasons_of(search.answers[-1].outcome, report["client"]["reasons"])
                sys.stderr.write(f"{point.asked}: {report['requests']['sent']:,} requests, {said}\n")
        except Interrupted:
            code = _INTERRUPTED
        result = result_of(path, plan, study.points())
    if args.json is not None:
        write_json(args.json, result.json())
    if args.junit is not None:
        result.write_junit(args.junit)
    result.print(console())
    return code or int(search.holds is None)


def _check(args: argparse.Namespace) -> None:
    """Raise ConfigError for what a search cannot do."""
    if not args.slo:
        raise ConfigError("--slo NAME=TIME", next_step="say what holds: --slo ttft=300ms")
    for text in args.slo:
        parse_term(text)
    if args.slo_attainment is not None and not 0 < args.slo_attainment < 1:
        raise ConfigError("--slo-attainment above 0 and below 100% to search for", args.slo_attainment)
    if args.number is None and args.duration is None:
        raise ConfigError("-n or --duration", next_step="say how long a point lasts at most: --duration 2min")
    if not 0.005 <= args.precision <= 1:
        hint = f"write {args.precision:g}% for a percentage" if 1 < args.precision <= 100 else ""
        raise ConfigError("--precision of 0.5% to 100%", args.precision, hint)
    if not 0 < args.first < math.inf or not args.highest > 0 or (args.in_parallel and args.first < 1):
        raise ConfigError("--start and --highest above 0", f"{args.first:g} and {args.highest:g}")
    check_files(args)
