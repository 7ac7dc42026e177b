"""Make the request bodies of a run, from a prompt, a dataset or a parser, before the first request is sent."""

import itertools
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from otel_llm.entry_points import installed
from otel_llm.errors import ConfigError
from otel_llm.load.figures.counting import Counts
from otel_llm.load.plan.cachebust import MARK, mark_body
from otel_llm.load.plan.option_values import parse_key_values
from otel_llm.load.prompts.datasets import DATASETS, Dataset, as_messages, open_dataset
from otel_llm.load.prompts.formats import format_of
from otel_llm.load.prompts.parsers import Source, open_parser
from otel_llm.load.prompts.parsers.named import NAMED
from otel_llm.load.prompts.tokenizers import Tokenizer, load_tokenizer
from otel_llm.load.prompts.wording import answer_text_of, prompt_text_of
from otel_llm.wire.protocol import Ask, Protocol, WireRequest

__all__ = ["requests_of"]


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
    return tuple(_encoded(protocol, number, ask) for number, ask in enumerate(asks, 1)), counts


def _encoded(protocol: type[Protocol], number: int, ask: Ask) -> WireRequest:
    """Return the request for a prompt. Raises ConfigError with its number when the protocol cannot say it."""
    try:
        return protocol.encode(ask)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ConfigError(
            f"a prompt that {protocol.name} can send, as number {number}", f"one without {error}",
            "give text, or messages with role and content",
        ) from error  # fmt: skip


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
        name = format_of(Path(args.dataset).expanduser())
    options = parse_key_values("--dataset-options", args.dataset_options, typed=False)
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
