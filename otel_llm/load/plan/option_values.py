"""Read the values of options: quantities, KEY=VALUE items, headers, prompts, API keys from files or the environment."""

import codecs
import os
import re
from argparse import ArgumentTypeError
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.units import parse_seconds, parse_share

__all__ = [
    "parse_headers",
    "parse_key_values",
    "parse_moment",
    "prompt_file",
    "read_api_key",
    "read_prompt",
    "seconds",
    "share",
]

_WORDS: Final = {"bool_true": True, "bool_false": False, "True": True, "False": False, "None": None}
_HEADER: Final = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*[=:]\s*(.*?)\s*", re.DOTALL)
_NUMBER: Final = re.compile(r"-?(?:(?:0|[1-9]\d*)\.\d*|\.\d+)(?:[eE][+-]?\d+)?")
"""A number as Python writes it, such as `.7` and `1.`, which are no JSON."""
_NAME: Final = re.compile(r"[A-Za-z_]{1,20}")
"""What is repeated in a message: a name, and no key."""
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def seconds(text: str) -> float:
    """Return the seconds of an option such as `--duration 2min`. Raises ArgumentTypeError."""
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def share(text: str) -> float:
    """Return the share of an option such as `--slo-attainment 99%`. Raises ArgumentTypeError."""
    try:
        return parse_share(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def parse_moment(text: str) -> int:
    """Return the Unix time in ns of a moment: ISO 8601 with its zone, or Unix seconds. Raises ConfigError.

    >>> parse_moment("1970-01-01T00:01:00Z"), parse_moment("60.5")
    (60000000000, 60500000000)
    """
    try:
        return round(float(text) * 1e9)
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigError("--start-at with a moment and its zone, such as 2026-01-31T12:00:00Z, or Unix seconds", text)
    return round(moment.timestamp() * 1e9)


def parse_key_values(option: str, items: Sequence[str], *, typed: bool = True) -> dict[str, Any]:
    """Return KEY=VALUE items as a mapping, split at the first `=`. Raises ConfigError for an item without one.

    With `typed`, a value that is JSON is decoded ('"5"' is the text 5), so are a number without its 0 and the words of
    Python and of `llmuses perf` (`True`, `None`, `bool_true`), and anything else is text.
    """
    out: dict[str, Any] = {}
    for item in items:
        key, equals, text = item.partition("=")
        if not equals or not key.strip():
            raise _no_item(option, key)
        out[key.strip()] = _typed(text) if typed else text
    return out


def _no_item(option: str, item: str) -> ConfigError:
    """Return the error of an item without `=`. It repeats a name, and never what may be a key."""
    name, colon, _ = item.partition(":")
    if option == "--headers" or not _NAME.fullmatch(name):
        return ConfigError(f"{option} KEY=VALUE", "an item without =", "quote it where the shell would split it")
    if colon:
        return ConfigError(f"{option} KEY=VALUE", f"{name}:…", f"write {name}=…")
    return ConfigError(f"{option} KEY=VALUE", name, "quote it where the shell would split it")


def parse_headers(items: Sequence[str]) -> dict[str, str]:
    """Return the headers of NAME=VALUE items, or NAME: VALUE as for curl. Raises ConfigError for any other item.

    No name of a header has `=` or `:` in it, so the first of them ends the name. A message never repeats the item.

    >>> parse_headers(["Authorization: Bearer a==", "X-Trace=a:b"])
    {'Authorization': 'Bearer a==', 'X-Trace': 'a:b'}
    """
    out: dict[str, str] = {}
    for item in items:
        if (found := _HEADER.fullmatch(item)) is None:
            raise ConfigError("--headers NAME=VALUE", "an item without =", "quote it where the shell would split it")
        out[found[1]] = found[2]
    return out


def _typed(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return float(text) if _NUMBER.fullmatch(text) else text


def read_prompt(prompt: str) -> str:
    """Return the prompt: the text itself, for @FILE the content of the file, for @@TEXT the text from the second @ on.

    A text that begins with @, has spaces and names no file is a prompt. Raises ConfigError for a file that has no text.
    """
    if (file := prompt_file(prompt)) is None:
        return prompt[1:] if prompt.startswith("@@") else prompt
    try:
        data = file.read_bytes()
        wide = len(data) > 2 and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return data.decode("utf-16" if wide else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "--prompt @FILE to name a text file", error, "write @@ for a prompt that begins with @"
        ) from error


def prompt_file(prompt: str) -> Path | None:
    """Return the file that a prompt names; None for a prompt that is the text."""
    if not prompt.startswith("@") or prompt.startswith("@@"):
        return None
    file = Path(prompt[1:]).expanduser()
    try:
        there = file.exists()
    except (OSError, ValueError):  # a name that is none
        there = False
    return file if there or len(prompt.split()) == 1 else None


def read_api_key(variable: str | None, file: str | None) -> str | None:
    """Return the API key in the environment variable or the first line of the file; None when neither is named.

    Raises ConfigError when there is no key. A message never repeats what was read.
    """
    if variable is not None and file is not None:
        raise ConfigError("either --api-key-env or --api-key-file", "both")
    if variable is not None:
        if not _VARIABLE.fullmatch(variable):
            raise ConfigError("--api-key-env to name an environment variable", next_step="give its name, not the key")
        if not (key := os.environ.get(variable, "").strip()):
            raise ConfigError(
                f"a key in the environment variable {variable}", next_step="export it, or use --api-key-file"
            )
        return key
    if file is None:
        return None
    try:
        lines = Path(file).expanduser().read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("--api-key-file to name a readable text file", type(error).__name__) from None
    if not (key := lines[0].strip()):
        raise ConfigError("a key in the first line of --api-key-file", "an empty line")
    return key
