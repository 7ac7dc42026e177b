"""`otel-llm collector`: the files out of the installed package, and bucket profiles."""

import argparse
import sys
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from otel_llm.errors import ConfigError
from otel_llm_collector.buckets import flags
from otel_llm_collector.table import engine, engines

__all__ = ["add_arguments", "run"]

_BOARDS: Final = "compose/grafana/boards"
_FOLDERS: Final = ("config", "servers", "rules", "compose", "kubernetes", "kustomization.yaml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `otel-llm collector`."""
    names = ", ".join(table.name for table in engines())
    parser.add_argument(
        "what", nargs="?", choices=("files", "buckets"), default="files", help="files (default), or a bucket profile"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the files are written; made if it is not there")
    parser.add_argument("--engine", metavar="NAME", help=f"whose bucket edges to set: {names}")


def run(args: argparse.Namespace) -> int:
    """Write the files or print the profile."""
    if args.what == "buckets":
        if not args.engine:
            raise ConfigError("--engine NAME with `buckets`", next_step="see otel-llm collector --help")
        sys.stdout.write(f"{flags(engine(args.engine))}\n")
        return 0
    if args.out is None:
        raise ConfigError("--out DIR", next_step="see otel-llm collector --help")
    package = files("otel_llm_collector")
    written = sum(_copy(package.joinpath(name), args.out / name) for name in _FOLDERS)
    boards = (
        board for board in files("otel_llm_dashboards").joinpath("grafana").iterdir() if board.name.endswith(".json")
    )
    written += sum(_copy(board, args.out / _BOARDS / board.name) for board in boards)
    sys.stdout.write(
        f"{written} files in {args.out}\n"
        f"next: otelcol-contrib --config {args.out}/config/base.yaml --config {args.out}/config/engines/vllm.yaml"
        f" --config {args.out}/config/stores/prometheus.yaml\n"
    )
    return 0


def _copy(source: Traversable, target: Path) -> int:
    """Copy a folder; return how many files it had."""
    if source.is_dir():
        return sum(_copy(item, target / item.name) for item in source.iterdir())
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
    return 1
