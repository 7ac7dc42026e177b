"""`otel-llm sweep`: one run at each of many loads, and one table."""

import argparse
import random
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from otel_llm.errors import ConfigError
from otel_llm.load.plan.other_tools import OTHER_NAMES
from otel_llm.load.show.console import console
from otel_llm.load.show.result_file import write_json
from otel_llm.load.study.auto import next_load
from otel_llm.load.study.loads import AUTO, Loop
from otel_llm.load.study.options import add_shared, check_files, loads_of, options_of_runs, study_path
from otel_llm.load.study.point import Point
from otel_llm.load.study.points import Interrupted, between, run_point
from otel_llm.load.study.result import result_of
from otel_llm.load.study.rows import reasons_of, row_of
from otel_llm.load.study.study_file import StudyFile, digest_of

__all__ = ["OTHER_NAMES", "add_arguments", "run"]

_INTERRUPTED: Final = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    own = add_shared(parser, "the sweep")
    own.add_argument(
        "--rate", nargs="+", metavar="R", help="requests per second: 1 2 4, or 1..64:x2, or 10..50:+10, or auto"
    )
    own.add_argument("--parallel", nargs="+", metavar="N", help="or requests in progress at any time, as for --rate")
    own.add_argument("--repeat", type=int, default=1, metavar="N", help="runs at each load (default: 1)")
    own.add_argument("--shuffle", action="store_true", help="in random order, of --seed; default: ascending")


def run(args: argparse.Namespace) -> int:
    """Run what is left of the sweep, print the table and return the exit code. Raises ConfigError."""
    auto = _auto(args)
    loads = [] if auto else loads_of(args.rate, args.parallel)
    if args.repeat < 1:
        raise ConfigError("--repeat to be 1 or more", args.repeat)
    check_files(args)
    options = options_of_runs(args)
    if args.number is None and args.duration is None:
        raise ConfigError("-n or --duration", next_step="say how long each point is to last")
    tries = [(load, repeat) for repeat in range(args.repeat) for load in loads]
    if args.shuffle:
        random.Random(args.seed).shuffle(tries)  # noqa: S311  # an order, no secret
    points = [Point(i, load.loop, load.value, repeat) for i, (load, repeat) in enumerate(tries, 1)]
    path = study_path(args.name, "sweep", options)
    listed = {"auto": True, "loop": auto} if auto else {"points": [[p.loop, p.load, p.repeat] for p in points]}
    plan = {"kind": "sweep", **listed, "options": digest_of(options)}
    with StudyFile.open(path, plan) as study:
        code = 0
        try:
            _run_points(
                study, _found(auto, study) if auto else iter(points), None if auto else len(points), options, args
            )
        except Interrupted:
            code = _INTERRUPTED
        result = result_of(path, plan, study.points())
    if args.json is not None:
        write_json(args.json, result.json())
    if args.junit is not None:
        result.write_junit(args.junit)
    result.print(console())
    return code or int(any(_failed(row, options) for row in result.rows))


def _auto(args: argparse.Namespace) -> Loop | None:
    """Return which loads the sweep finds itself; None where they are listed. Raises ConfigError."""
    given: dict[Loop, Any] = {"rate": args.rate, "parallel": args.parallel}
    loops = [loop for loop, texts in given.items() if texts == [AUTO]]
    if not loops:
        return None
    if None not in given.values():
        raise ConfigError("either --rate or --parallel", "both", "such as --rate auto")
    if args.repeat != 1 or args.shuffle:
        raise ConfigError(f"--{loops[0]} auto without --repeat and --shuffle", next_step="list the loads that it found")
    return loops[0]


def _found(loop: Loop, study: StudyFile) -> Iterator[Point]:
    """Yield the points of a sweep that finds its loads itself, each after the one before it has ended."""
    while True:
        rows = [row_of(*each) for each in study.points()]
        if (load := next_load(loop, rows)) is None:
            return
        yield Point(len(rows) + 1, loop, load)


def _run_points(
    study: StudyFile, points: Iterator[Point], number: int | None, options: Mapping[str, Any], args: argparse.Namespace
) -> None:
    """Run those of the points that were not run. number: of all of them, where it is known"""
    done = {point.number for point, _ in study.points()}
    of = "" if number is None else f" of {number}"
    for point in points:
        if point.number in done:
            continue
        between(args.pause if done else 0, args.between)
        row = row_of(point, run_point(study, point, options))
        done.add(point.number)
        said = reasons_of(row["verdict"], row["client_reasons"])
        sys.stderr.write(f"{len(done)}{of}  {point.asked}: {row['requests']:,} requests, {said}\n")


def _failed(row: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    """Return whether a gate of --fail-if failed: one that nobody asked for is no reason, at a load that is too high."""
    return bool(options.get("fail_if")) and any(gate["failed"] for gate in row["gates"])
