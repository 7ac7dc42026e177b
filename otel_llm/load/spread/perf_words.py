"""The options of `otel-llm perf` as pods are given them: with their files in a ConfigMap, and without secrets."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from otel_llm.errors import ConfigError
from otel_llm.load.plan.arguments import add_arguments
from otel_llm.load.plan.option_values import parse_headers, parse_key_values, prompt_file
from otel_llm.load.show.redact import redact, redact_url

__all__ = ["FOLDER", "PodWords", "words_of_pods"]

FOLDER: Final = "/plan"
"""Where pods find the files of the plan."""

_FILES: Final = ("dataset", "classes", "trace", "images", "audio", "video", "protocol", "parser", "ca")
_OURS: Final = (
    *(
        "name",
        "append",
        "json",
        "jsonl",
        "junit",
        "debug",
        "shard",
        "start_at",
        "ray",
        "calibrate",
        "view",
        "open",
        "store",
    ),
)
"""What the manifest says itself, or what would be a file of one pod alone."""
_KEYS: Final = ("api_key_file", "wandb_api_key", "key", "cert")
_MOST: Final = 1 << 20
"""Bytes that a ConfigMap can hold."""


class PodWords(NamedTuple):
    """words: of `otel-llm perf`; files: of the plan, by name; key: the variable that has the API key, or None"""

    words: list[str]
    files: Mapping[str, bytes]
    key: str | None


def words_of_pods(words: Sequence[str]) -> PodWords:
    """Return the options for pods. Raises ConfigError for bad ones, for secrets, and for files that are too large."""
    parser = _Parser(add_help=False)
    add_arguments(parser)
    given = parser.parse_args(words)
    _check(given, parser)
    files: dict[str, bytes] = {}
    out = list(words)
    for name in _FILES:
        if (value := getattr(given, name)) is not None and Path(value).is_file():
            out = _replaced(out, f"--{name}", value, _taken(files, Path(value)))
    if given.prompt is not None and (path := prompt_file(given.prompt)) is not None:
        out = _replaced(out, "--prompt", given.prompt, f"@{_taken(files, path)}")
    if (size := sum(map(len, files.values()))) > _MOST:
        raise ConfigError(f"files of {_MOST:,} bytes at most, all together", f"{size:,}", "put them into the image")
    return PodWords(out, files, given.api_key_env)


def _check(given: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    for name in _OURS:
        if getattr(given, name) != parser.get_default(name):
            raise ConfigError(f"options that pods share, without {_flag(name)}", _flag(name), "merging writes results")
    for name in _KEYS:
        if getattr(given, name) is not None:
            raise ConfigError("--api-key-env and --secret", _flag(name), "a manifest is no place for a key")
    headers, parameters = parse_headers(given.headers), parse_key_values("--parameters", given.parameters)
    for where, value in (("--headers", headers), ("--parameters", parameters)):
        if redact(value) != value:
            raise ConfigError(f"{where} without secrets", where, "give --api-key-env and --secret")
    if any(redact_url(url) != url for url in (*given.url, *filter(None, (given.otlp_endpoint, given.proxy)))):
        raise ConfigError("URLs without secrets", "one with", "give --api-key-env and --secret")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _taken(files: dict[str, bytes], path: Path) -> str:
    """Add a file, and return where pods find it."""
    if path.name in files:
        raise ConfigError("files of different names", path.name, "rename one")
    try:
        files[path.name] = path.read_bytes()
    except OSError as error:
        raise ConfigError("a file that can be read", error) from error
    return f"{FOLDER}/{path.name}"


def _replaced(words: Sequence[str], flag: str, value: str, new: str) -> list[str]:
    """Return the words with another value of an option, in either of the two ways in which it can be given."""
    out = [f"{flag}={new}" if word == f"{flag}={value}" else word for word in words]
    return [new if before == flag and word == value else word for before, word in zip(["", *out], out, strict=False)]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError("options of otel-llm perf", message, "see otel-llm perf --help")
