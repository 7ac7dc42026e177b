"""The options that a study shares with `otel-llm perf`, and those that it has of its own."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from otel_llm.errors import ConfigError
from otel_llm.load.plan.arguments import add_arguments
from otel_llm.load.plan.option_values import seconds
from otel_llm.load.show.result_file import check_writable
from otel_llm.load.study.loads import Load, parse_loads

__all__ = ["add_shared", "check_files", "loads_of", "options_of_runs", "study_path"]

_WITHOUT: Final = (
    "--glossary", "--calibrate", "--rate", "--parallel", "--name", "--append", "--json", "--jsonl", "--junit",
    "--strict", "--log-every-n-query", "--compat", "--debug", "--view", "--open", "--shard", "--start-at", "--ray",
    "--per-node",
)  # fmt: skip
"""What a study says itself, or what is of one run alone."""


def add_shared(parser: argparse.ArgumentParser, title: str) -> "argparse._ArgumentGroup":
    """Add the options of a study, with those of `otel-llm perf` behind them; return the group for more of its own."""
    own = parser.add_argument_group(title)
    own.add_argument("--name", metavar="FILE", help="the study's file; if it is there, its study goes on")
    own.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON (docs/studies.md)")
    own.add_argument("--junit", type=Path, metavar="FILE", help="write the verdicts on its points as JUnit XML")
    own.add_argument("--pause", type=seconds, default=0.0, metavar="TIME", help="between two points (default: none)")
    own.add_argument(
        "--between", metavar="COMMAND|URL", help="run it, or POST to it, before each point: to empty a cache, say"
    )
    add_arguments(parser, _WITHOUT)
    return own


def check_files(args: argparse.Namespace) -> None:
    """Check, before what takes long, that the reports can be written. Raises ConfigError, which names the option."""
    for path, option, what in ((args.json, "--json", "JSON"), (args.junit, "--junit", "JUnit")):
        if path is not None:
            check_writable(path, option, what)


def loads_of(rate: Sequence[str] | None, parallel: Sequence[str] | None) -> list[Load]:
    """Return the loads, ascending. Raises ConfigError unless there is one kind of them."""
    if (rate is None) == (parallel is None):
        raise ConfigError(
            "either --rate or --parallel", "neither" if rate is None else "both", "such as --rate 1..64:x2"
        )
    return parse_loads("rate", rate) if rate is not None else parse_loads("parallel", parallel or ())


def options_of_runs(args: argparse.Namespace) -> dict[str, Any]:
    """Return what each run of the study is given: the options of `otel-llm perf` that are not at their default."""
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser, _WITHOUT)
    given = vars(args)
    return {each.dest: given[each.dest] for each in parser._actions if given[each.dest] != each.default}


def study_path(name: str | None, kind: str, options: Mapping[str, Any]) -> Path:
    """Return the study's file: as it was named, else of the model."""
    if name is not None:
        return Path(name)
    models = "+".join(options.get("model", ("model",)))
    model = "".join(each if each.isalnum() or each in "-._+" else "_" for each in models)
    return Path(f"{model[:100]}_{kind}.db")
