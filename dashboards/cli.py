"""`otel-llm dashboards`: the boards out of the installed package, for Grafana, mixins and the operator."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from otel_llm.errors import ConfigError
from otel_llm_dashboards.grafana_operator import resource
from otel_llm_dashboards.mixin import mixin

__all__ = ["add_arguments", "boards", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `otel-llm dashboards`."""
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the files are written; made if it is not there")
    parser.add_argument(
        "--format",
        choices=(*_FORMATS, "all"),
        default="json",
        help="json (default): what Grafana imports and provisions; mixin: dashboards, rules and alerts with a jsonnet "
        "entry; operator: GrafanaDashboard resources for Kubernetes; all: a folder of each",
    )


def run(args: argparse.Namespace) -> int:
    """Write the files; ConfigError when they cannot be written there."""
    if args.out is None:
        raise ConfigError("--out DIR", next_step="see otel-llm dashboards --help")
    wanted = _FORMATS if args.format == "all" else {args.format: _FORMATS[args.format]}
    texts = {
        (f"{name}/{path}" if args.format == "all" else path): text
        for name, made in wanted.items()
        for path, text in made().items()
    }
    _write(args.out, texts)
    sys.stdout.write(f"{len(texts)} files in {args.out}\nnext: {_NEXT[args.format]}, see docs/dashboards.md\n")
    return 0


def boards() -> Mapping[str, str]:
    """Return the JSON of each board by its file name."""
    found = sorted(files("otel_llm_dashboards").joinpath("grafana").iterdir(), key=lambda file: file.name)
    return {board.name: board.read_text("utf-8") for board in found if board.name.endswith(".json")}


def _operator() -> Mapping[str, str]:
    resources = {name.removesuffix(".json"): json.loads(text) for name, text in boards().items()}
    return {f"{name}.yaml": resource(name, board) for name, board in resources.items()}


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    try:
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError("--out to be a folder that can be written to", error, "name another one") from error


_FORMATS: Final[Mapping[str, Callable[[], Mapping[str, str]]]] = {
    "json": boards,
    "mixin": lambda: mixin(boards()),
    "operator": _operator,
}
_NEXT: Final = {
    "json": "import them in Grafana, or provision the folder",
    "mixin": "import mixin.libsonnet in yours, or use dashboards/, rules/ and alerts/ as they are",
    "operator": "kubectl apply -f them",
    "all": "one folder each for import, mixins and the operator",
}
