"""Parsers, as `llmuses perf` had them: they build request bodies and count tokens. Chosen by name or by file.

A parser writes the whole request body and counts the tokens of the whole answer. The protocol, which the URL names,
still reads each packet's text and arrival. Without `--parser` nothing here is used.
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
    """What the load generator calls."""

    def bodies(self) -> Iterator[dict[str, Any]]:
        """Yield the request bodies of one pass. Each call begins again from the start."""

    def tokens(self, events: Sequence[str], request: Mapping[str, Any]) -> tuple[int | None, int | None]:
        """Return (tokens of the prompt, tokens of the answer), None for a count that is not known.

        events:  the data of each event of a stream, without end markers; for a whole answer, its body
        request: the body that was sent
        """


def open_parser(name: str, source: Source, tokenizer_path: str | None = None) -> Parser:
    """Return the parser of that name, or of the Python file at that path. It has built one body, as a test.

    Raises ConfigError or PluginError, before any request, when the name, file, dataset or tokenizer cannot be used.
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
