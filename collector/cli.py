"""`otel-llm collector`: copy the configuration out of the installed package, or print a bucket profile."""

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Final

from otel_llm.errors import ConfigError
from otel_llm_collector.engine_tables.bucket_profiles import bucket_options
from otel_llm_collector.engine_tables.table import engine_tables, find_engine_table
from otel_llm_collector.package_files import PACKAGE
from otel_llm_collector.rule_sources.rule import RUNBOOKS, SEVERITIES
from otel_llm_collector.yaml_text import quote

__all__ = ["BOARDS", "add_arguments", "run"]

BOARDS: Final = "compose/grafana/boards"
"""The folder that the Grafana of compose reads its boards from."""
_COPIED: Final = ("config", "servers", "rules", "runbooks", "compose", "kubernetes", "kustomization.yaml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `otel-llm collector`."""
    names = ", ".join(table.name for table in engine_tables())
    parser.add_argument(
        "what", nargs="?", choices=("files", "buckets"), default="files", help="files (default), or a bucket profile"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write the files to; created if missing")
    parser.add_argument(
        "--runbook-url",
        metavar="URL",
        default=RUNBOOKS,
        help="what `runbook_url` of alerts begins with: where you publish the pages of runbooks/ (%(default)s)",
    )
    parser.add_argument(
        "--severities",
        metavar="PAGE,TICKET",
        default=",".join(SEVERITIES),
        help="what alerts have as `severity`: the word for what wakes somebody, and for what can wait (%(default)s)",
    )
    parser.add_argument("--engine", metavar="NAME", help=f"the engine whose bucket edges to set: {names}")


def run(args: argparse.Namespace, boards: Mapping[str, str] = MappingProxyType({})) -> int:
    """Write the files or print the profile; ConfigError when they cannot be written there.

    boards: what the Grafana of compose shows, JSON by file name.
    """
    if args.what == "buckets":
        if not args.engine:
            raise ConfigError("--engine NAME with `buckets`", next_step="see otel-llm collector --help")
        sys.stdout.write(f"{bucket_options(find_engine_table(args.engine))}\n")
        return 0
    if args.out is None:
        raise ConfigError("--out DIR", next_step="see otel-llm collector --help")
    reword = _alert_words(args.runbook_url, args.severities)
    written = sum(_copy(PACKAGE.joinpath(name), args.out / name, reword) for name in _COPIED)
    for name, text in boards.items():
        _write(args.out / BOARDS / name, text.encode())
    sys.stdout.write(
        f"{written + len(boards)} files in {args.out}\n"
        f"next: otelcol-contrib --config {args.out}/config/base.yaml --config {args.out}/config/engines/vllm.yaml"
        f" --config {args.out}/config/stores/prometheus.yaml\n"
    )
    return 0


def _alert_words(runbook_url: str, severities: str) -> Callable[[bytes], bytes]:
    """Return what puts these words into the text of alerts. ConfigError when there are not two severities."""
    words = tuple(word.strip() for word in severities.split(","))
    if len(words) != len(SEVERITIES) or not all(words):
        raise ConfigError("--severities with two words", severities, "for example --severities critical,warning")
    folder = runbook_url if runbook_url.endswith("/") else f"{runbook_url}/"
    written = {f"runbook_url: '{RUNBOOKS}": f"runbook_url: '{quote(folder)[1:-1]}"}
    written |= {f"severity: '{ours}'": f"severity: {quote(word)}" for ours, word in zip(SEVERITIES, words, strict=True)}
    pattern = re.compile("|".join(map(re.escape, written)).encode())
    return lambda text: pattern.sub(lambda found: written[found[0].decode()].encode(), text)


def _copy(source: Traversable, target: Path, reword: Callable[[bytes], bytes]) -> int:
    """Copy a file, or a folder and what is in it; return how many files that were."""
    if source.is_dir():
        return sum(_copy(item, target / item.name, reword) for item in source.iterdir())
    _write(target, reword(source.read_bytes()))
    return 1


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError("--out to be a folder that can be written to", error, "name another one") from error
