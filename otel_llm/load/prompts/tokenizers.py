"""Count tokens, or have their ids, by a tokenizer on this disk. The network is never used."""

from pathlib import Path
from typing import Any, Protocol

from otel_llm.errors import ConfigError

__all__ = ["Tokenizer", "load_tokenizer"]


class Tokenizer(Protocol):
    """Knows the tokens of a text."""

    def count(self, text: str) -> int:
        """Return the number of tokens in `text`, without those that a chat template would add."""

    def ids(self, text: str) -> list[int]:
        """Return the ids of these tokens."""


def load_tokenizer(path: str | Path) -> Tokenizer:
    """Return the tokenizer of a `tokenizer.json` or of a folder of model files.

    The package `tokenizers` reads a `tokenizer.json`, also one in a folder; `transformers` reads any other folder.
    Raises ConfigError when nothing is at the path, the package is not installed, or the files are not a tokenizer.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        single = place / "tokenizer.json"
        return _Fast(single) if single.exists() else _FromFolder(place)
    if not place.is_file():
        raise ConfigError("a tokenizer.json or a folder of model files", str(path), "give the path of one on this disk")
    return _Fast(place)


class _Fast:
    def __init__(self, file: Path) -> None:
        try:
            from tokenizers import Tokenizer as Implementation
        except ImportError as error:
            raise _missing("tokenizers", file) from error
        try:
            self._encode: Any = Implementation.from_file(str(file)).encode
        except Exception as error:  # the package raises plain Exception
            raise ConfigError(f"a tokenizer in {file}", error, "give the path of a tokenizer.json") from error

    def count(self, text: str) -> int:
        return len(self.ids(text))

    def ids(self, text: str) -> list[int]:
        return list(self._encode(text, add_special_tokens=False).ids)


class _FromFolder:
    def __init__(self, folder: Path) -> None:
        try:
            from transformers import AutoTokenizer
        except ImportError as error:
            raise _missing("transformers", folder) from error
        try:
            self._encode: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True).encode
        except Exception as error:  # whatever the model's own code raises
            raise ConfigError(f"the files of a tokenizer in {folder}", error, "give the folder of a model") from error

    def count(self, text: str) -> int:
        return len(self.ids(text))

    def ids(self, text: str) -> list[int]:
        return list(self._encode(text, add_special_tokens=False))


def _missing(package: str, place: Path) -> ConfigError:
    error = f"no package {package}"
    return ConfigError(f"what reads {place}", error, "pip install 'otel-llm[models]', or leave --tokenizer-path out")
