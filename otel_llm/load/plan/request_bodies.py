"""Make the request bodies of a run, from a prompt, a dataset or a parser, before the first request is sent."""

import itertools
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from otel_llm.entry_points import installed
from otel_llm.errors import ConfigError
from otel_llm.load.figures.counting import Counts
from otel_llm.load.plan.cachebust import MARK, mark_body
from otel_llm.load.prompts.datasets import DATASETS, Dataset, as_messages, open_dataset
from otel_llm.load.prompts.parsers import Source, open_parser
from otel_llm.load.prompts.parsers.named import NAMED
from otel_llm.load.prompts.tokenizers import Tokenizer, load_tokenizer
from otel_llm.load.prompts.wording import answer_text_of, prompt_text_of
from otel_llm.wire.protocol import Ask, Protocol, WireRequest

__all__ = ["requests_of"]

_BY_SUFFIX: Final = {".csv": "csv_column", ".tsv": "csv_column", ".parquet": "parquet"}


def requests_of(
    args: Namespace, protocol: type[Protocol], prompt: str | None, parameters: Mapping[str, Any]
) -> tuple[tuple[WireRequest, ...], Counts | None]:
    """Return the requests of one pass, at most `--number`, and what counts tokens when the server does not.

    Raises ConfigError or PluginError when the prompt, the dataset, the parser or the tokenizer cannot be used.
    """
    if args.parser is not None:
        source = Source(
            model=args.model,
            prompt=prompt,
            dataset=args.dataset,
            min_length=args.min_prompt_length,
            max_length=args.max_prompt_length,
            parameters=parameters,
        )
        parser = open_parser(args.parser, source, args.tokenizer_path)
        mark = mark_body if args.cache_bust else dict
        bodies = (mark(body) for body in itertools.islice(parser.bodies(), args.number))
        counter: Counts = parser
        if args.tokenizer_path and args.parser in NAMED:  # the server's usage is compared with it
            counter = _ByTokenizer(protocol, load_tokenizer(args.tokenizer_path))
        return tuple(WireRequest(msgspec.json.encode(body)) for body in bodies), counter
    asks = (
        Ask(model=args.model, messages=messages, stream=not args.no_stream, parameters=parameters)
        for messages in (_mark_first(m) if args.cache_bust else m for m in _messages(args, prompt))
    )
    counts = _ByTokenizer(protocol, load_tokenizer(args.tokenizer_path)) if args.tokenizer_path else None
    return tuple(protocol.encode(ask) for ask in asks), counts


def _messages(args: Namespace, prompt: str | None) -> Iterator[Sequence[Mapping[str, Any]]]:
    if prompt is not None:
        yield as_messages(prompt)
        return
    if args.dataset is None:
        raise ConfigError("something to ask", next_step="give --prompt TEXT, --prompt @FILE or --dataset")
    for item in itertools.islice(_dataset(args), args.number):
        yield as_messages(item)


def _mark_first(messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the messages with the mark of `cachebust` at the start of the first."""
    first, *rest = messages
    if not isinstance(text := first.get("content"), str):
        raise ConfigError("a first message of text for --cache-bust", type(text).__name__, "go without it")
    return ({**first, "content": f"{MARK} {text}"}, *rest)


def _dataset(args: Namespace) -> Dataset:
    """Return the dataset that --dataset-format names, or that --dataset names, or that suits the kind of file."""
    path: str | None = args.dataset
    name = args.dataset_format
    if name is None and args.dataset in installed(DATASETS) and not Path(args.dataset).exists():
        name, path = args.dataset, None
    elif name is None:
        file = Path(args.dataset).expanduser()
        name = "huggingface_disk" if file.is_dir() else _BY_SUFFIX.get(file.suffix, "line_by_line")
    options = {key: str(value) for key, _, value in (item.partition("=") for item in args.dataset_options)}
    return open_dataset(
        name,
        path,
        seed=args.seed,
        min_length=args.min_prompt_length,
        max_length=args.max_prompt_length,
        options=options,
    )


class _ByTokenizer:
    """Counts the tokens of the prompt's text and of the answer's text with a tokenizer."""

    def __init__(self, protocol: type[Protocol], tokenizer: Tokenizer) -> None:
        self._protocol, self._tokenizer = protocol, tokenizer

    def tokens(self, events: Sequence[str], request: Mapping[str, Any]) -> tuple[int | None, int | None]:
        count = self._tokenizer.count
        return count(prompt_text_of(request)), count(answer_text_of(self._protocol, events))
