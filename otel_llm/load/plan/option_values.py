"""Read the values of options: KEY=VALUE items, and prompts and API keys from files or the environment."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from otel_llm.errors import ConfigError

__all__ = ["parse_key_values", "read_api_key", "read_prompt"]

_BOOL: Final = {"bool_true": True, "bool_false": False}


def parse_key_values(option: str, items: Sequence[str], *, typed: bool = True) -> dict[str, Any]:
    """Return KEY=VALUE items as a mapping, split at the first `=`. Raises ConfigError for an item without one.

    With `typed`, a value that is JSON is decoded ('"5"' is the text 5), `bool_true` and `bool_false` are booleans as in
    `llmuses perf`, and anything else is text.
    """
    out: dict[str, Any] = {}
    for item in items:
        key, equals, text = item.partition("=")
        if not equals or not key.strip():
            got = key if option != "--headers" else "an item without ="
            raise ConfigError(f"{option} KEY=VALUE", got, "quote it where the shell would split it")
        out[key.strip()] = _typed(text) if typed else text
    return out


def _typed(text: str) -> Any:
    if text in _BOOL:
        return _BOOL[text]
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def read_prompt(prompt: str) -> str:
    """Return the prompt: the text itself, or for @FILE the content of the file. Raises ConfigError if it has none."""
    if not prompt.startswith("@"):
        return prompt
    try:
        return Path(prompt[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("--prompt @FILE to name a text file", error) from error


def read_api_key(variable: str | None, file: str | None) -> str | None:
    """Return the API key in the environment variable or the first line of the file; None when neither is named.

    Raises ConfigError when there is no key. A message never repeats what was read.
    """
    if variable is not None and file is not None:
        raise ConfigError("either --api-key-env or --api-key-file", "both")
    if variable is not None:
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
