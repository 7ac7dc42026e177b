"""`otel-llm merge A.db B.db --into C.db`: the run files of all shards of a run become that of the run."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from otel_llm.load.coordinator.garbage import rare_collections
from otel_llm.load.coordinator.run import RunResult
from otel_llm.load.merge.merging import merge
from otel_llm.load.merge.parts import parts_of
from otel_llm.load.outputs.object_store import fetched
from otel_llm.load.plan.stages import peak_of
from otel_llm.load.show.report import print_run
from otel_llm.load.show.result_file import check_writable, write_json

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "files", nargs="+", metavar="RUN", help="the run files of all shards of a run, or s3://BUCKET/FOLDER/RUN-*.db"
    )
    parser.add_argument("--into", type=Path, required=True, metavar="FILE", help="the run file to write")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON (docs/report.md)")
    parser.add_argument(
        "--partial", action="store_true", help="go without missing shards: what they were to send counts as failed"
    )
    parser.add_argument("--strict", action="store_true", help="exit code 3 when a client was the limit")


def run(args: argparse.Namespace) -> int:
    """Write the run file, print its report and return the exit code that the run would have had."""
    if args.json is not None:
        check_writable(args.json, "--json", "JSON")
    with TemporaryDirectory(prefix="otel-llm-merge-") as folder, rare_collections():
        parts = parts_of(fetched(args.files, Path(folder)), partial=args.partial)
        report, stats, health = merge(parts, args.into)
    if args.json is not None:
        write_json(args.json, report)
    print_run(stats, peak_of(report["run"]["arguments"].get("parallel")), report, args.into, health)
    interrupted = report["ended_by"] == "interrupted"
    return RunResult(report, args.into, interrupted, health, stats).exit_code(strict=args.strict)
