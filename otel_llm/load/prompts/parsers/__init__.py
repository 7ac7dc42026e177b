"""Parsers: the document's way of saying what is asked and how its tokens are counted, by name or by file.

A parser writes the whole request body and reads the whole answer; arrival and text of each packet stay with the
protocol that the URL names. Without `--parser` nothing of this is used.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.parsers.file import FileParser
from otel_llm.load.prompts.parsers.named import NAMED, NamedParser
from otel_llm.load.prompts.parsers.source import Source
from otel_llm.load.prompts.tokenizers import load_tokenizer

__all__ = ["Parser", "Source", "open_parser"]


class Parser(Protocol):
    """What the load generator asks of a parser."""

    def bodies(self) -> Iterator[dict[str, Any]]:
        """Yield the request bodies of one pass, from the start at each call."""

    def tokens(self, events: Sequence[str], request: Mapping[str, Any]) -> tuple[int | None, int | None]:
        """Return (tokens of the prompt, tokens of the answer), None for what is not known.

        events:  the data of each event of the answer, without end markers; of a whole answer, its body alone
        request: the body that was sent
        """


def open_parser(name: str, source: Source, tokenizer_path: str | None = None) -> Parser:
    """Return the parser of that name, or of the Python file at that path, after it has built one body to show it can.

    Raises ConfigError or PluginError, before any request, for everything that is wrong with the name, the file, the
    dataset or the tokenizer.
    """
    parser: Parser
    if name in NAMED:
        parser = NamedParser(name, source, load_tokenizer(tokenizer_path) if tokenizer_path else None)
    elif name.endswith(".py") or Path(name).exists():
        parser = FileParser(Path(name).expanduser(), source, tokenizer_path)
    else:
        raise ConfigError(f"a parser out of {', '.join(NAMED)}, or the path of a Python file", name)
    if next(parser.bodies(), None) is None:
        raise ConfigError(
            f"--parser {name} to build at least one request", next_step="check the dataset and the lengths"
        )
    return parser
