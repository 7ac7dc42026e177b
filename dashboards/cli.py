"""`otel-llm dashboards`: write the installed boards for Grafana, as a mixin, or for the Grafana operator."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from otel_llm.errors import ConfigError
from otel_llm_dashboards.formats.grafana_json import installed_boards
from otel_llm_dashboards.formats.grafana_operator import operator_resources
from otel_llm_dashboards.formats.mixin import mixin_files

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `otel-llm dashboards`."""
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write the files to; created if missing")
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
    boards = installed_boards()
    if args.format == "all":
        texts = {f"{name}/{path}": text for name, format_ in _FORMATS.items() for path, text in format_(boards).items()}
    else:
        texts = dict(_FORMATS[args.format](boards))
    _write(args.out, texts)
    sys.stdout.write(f"{len(texts)} files in {args.out}\nnext: {_NEXT[args.format]}, see docs/dashboards.md\n")
    return 0


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    try:
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError("--out to be a folder that can be written to", error, "name another one") from error


_FORMATS: Final[Mapping[str, Callable[[Mapping[str, str]], Mapping[str, str]]]] = {
    "json": dict,
    "mixin": mixin_files,
    "operator": operator_resources,
}
_NEXT: Final = {
    "json": "import them in Grafana, or provision the folder",
    "mixin": "import mixin.libsonnet in yours, or use dashboards/, rules/ and alerts/ as they are",
    "operator": "kubectl apply -f them",
    "all": "one folder each for import, mixins and the operator",
}
